package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/gatepost/gatepost/gateway/internal/config"
	"github.com/gatepost/gatepost/gateway/internal/notify"
)

func mailCommand() *cobra.Command {
	group := &cobra.Command{Use: "mail", Short: "Look at how e-mail leaves"}
	test := &cobra.Command{
		Use:   "test",
		Short: "Send one test message by the configured driver and print what the server answers",
		Args:  cobra.NoArgs,
	}
	load := configFlag(test)
	to := test.Flags().String("to", "", "e-mail address that gets the message")
	if err := test.MarkFlagRequired("to"); err != nil {
		panic(err) // the flag is defined above
	}
	test.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, err := load()
		if err != nil {
			return err
		}
		answer, err := tryMail(cmd.Context(), cfg, *to)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "Sent to %s: %s\n", *to, answer)
		return err
	}
	group.AddCommand(test)
	return group
}

// tryMail sends a test message straight to the server: neither the outbox nor
// its budgets are in the way.
func tryMail(ctx context.Context, cfg config.Config, to string) (string, error) {
	sender, err := cfg.Mail.Sender()
	if err != nil {
		return "", err
	}
	if sender == nil {
		return "", errors.New("mail.driver is none, so nothing can be sent: set it to smtp or directory")
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	answer, err := notify.TryMail(ctx, sender, to, time.Now())
	if err != nil {
		return "", fmt.Errorf("the test message was not sent: %w", err)
	}
	return answer, nil
}
