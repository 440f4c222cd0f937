package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/gatepost/gatepost/gateway"
	"github.com/gatepost/gatepost/gateway/internal/config"
	"github.com/gatepost/gatepost/gateway/internal/vault"
)

func keysCommand() *cobra.Command {
	group := &cobra.Command{Use: "keys", Short: "The key ring that seals secrets in the store"}
	initial := &cobra.Command{
		Use:   "init",
		Short: "Make a key ring; an existing one is never overwritten",
		Args:  cobra.NoArgs,
	}
	load := configFlag(initial)
	initial.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, err := load()
		if err != nil {
			return err
		}
		path := string(cfg.Keys.File)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return err
		}
		_, err = vault.Create(path)
		if errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("%s exists already, and is never overwritten", path)
		}
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(cmd.OutOrStdout(), "Made %s. Keep a copy: without it what is sealed in the store is lost.\n", path)
		return err
	}
	group.AddCommand(initial)
	return group
}

func setupLinkCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "setup-link",
		Short: "Print a new link for the first set-up; the one before stops working",
		Args:  cobra.NoArgs,
	}
	load := configFlag(c)
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, err := load()
		if err != nil {
			return err
		}
		link, err := gateway.NewOperator(cfg).SetupLink(cmd.Context())
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(cmd.OutOrStdout(), link)
		return err
	}
	return c
}

func setupCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "setup",
		Short: "Set up a running gateway for the first time, without a browser",
		Args:  cobra.NoArgs,
	}
	load := configFlag(c)
	file := c.Flags().String("client-file", "", "where to write the API client (a new file, readable by you alone)")
	tenant := c.Flags().String("tenant", "default", "id of the first tenant")
	operator := c.Flags().String("operator", "", "identifier of the first operator, such as an e-mail address; none: only the API client")
	password := c.Flags().String("operator-password-file", "", "file with the first operator's password")
	if err := c.MarkFlagRequired("client-file"); err != nil {
		panic(err) // the flag is defined above
	}
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, err := load()
		if err != nil {
			return err
		}
		a := gateway.SetupAnswers{TenantID: *tenant, Identifier: *operator}
		if *operator != "" {
			raw, err := os.ReadFile(*password)
			if err != nil {
				return fmt.Errorf("--operator needs --operator-password-file: %w", err)
			}
			a.Password = trimNewline(string(raw))
		}
		return setUp(cmd.Context(), cfg, a, *file, cmd.OutOrStdout())
	}
	return c
}

func trimNewline(s string) string {
	for len(s) > 0 && (s[len(s)-1] == '\n' || s[len(s)-1] == '\r') {
		s = s[:len(s)-1]
	}
	return s
}

// setUp opens the file before anything happens: a set-up whose client cannot be
// written down would be lost.
func setUp(ctx context.Context, cfg config.Config, a gateway.SetupAnswers, path string, out io.Writer) (err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	result, err := gateway.NewOperator(cfg).SetUp(ctx, a)
	if err != nil {
		_ = f.Close()
		return joinRemove(err, path)
	}
	e := json.NewEncoder(f)
	e.SetIndent("", "  ")
	if err := e.Encode(result); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "Gatepost is set up. %s holds the API client of tenant %s.\n", path, a.TenantID)
	return err
}

func joinRemove(err error, path string) error {
	if rm := os.Remove(path); rm != nil {
		return fmt.Errorf("%w; and %s is left behind: %w", err, path, rm)
	}
	return err
}
