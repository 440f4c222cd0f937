package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gatepost/gatepost/gateway"
	"github.com/gatepost/gatepost/gateway/internal/config"
)

func tokenCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "token",
		Short: "Print an access token for the API, got with a client file",
		Long: `Print an access token for the API, got with a client file. It goes into requests
as "Authorization: Bearer TOKEN" and ends by itself after an hour.`,
		Args: cobra.NoArgs,
	}
	file := c.Flags().String("client-file", "", "file that `gatepost setup` wrote, or any with client_id, client_secret and token_url")
	whole := c.Flags().Bool("root", false, "for the client of the root tenant, which administers all tenants")
	if err := c.MarkFlagRequired("client-file"); err != nil {
		panic(err) // the flag is defined above
	}
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		client, err := readClient(*file, *whole)
		if err != nil {
			return err
		}
		token, err := requestToken(cmd.Context(), client)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(cmd.OutOrStdout(), token)
		return err
	}
	return c
}

// readClient reads one of the clients of a client file.
func readClient(path string, whole bool) (gateway.Client, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return gateway.Client{}, err
	}
	var f gateway.SetupResult
	if err := json.Unmarshal(raw, &f); err != nil {
		return gateway.Client{}, fmt.Errorf("%s is not a client file: %w", path, err)
	}
	client := f.FileClient
	if whole {
		client = f.Root
	}
	if client.ClientID == "" || client.ClientSecret == "" || client.TokenURL == "" {
		return client, fmt.Errorf("%s lacks client_id, client_secret or token_url", path)
	}
	return client, nil
}

// requestToken gets a token by client credentials (RFC 6749, section 4.4).
func requestToken(ctx context.Context, client gateway.Client) (string, error) {
	body := strings.NewReader(url.Values{"grant_type": {"client_credentials"}}.Encode())
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, client.TokenURL, body)
	if err != nil {
		return "", err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(url.QueryEscape(client.ClientID), url.QueryEscape(client.ClientSecret)) // section 2.3.1
	resp, err := (&http.Client{Timeout: 30 * time.Second}).Do(r)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	var answer struct {
		AccessToken string `json:"access_token"`
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	err = json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&answer)
	if err == nil && answer.AccessToken != "" {
		return answer.AccessToken, nil
	}
	return "", fmt.Errorf("%s answered %s: %s %s", client.TokenURL, resp.Status, answer.Error, answer.Description)
}

func healthCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "health",
		Short: "Ask the ops listener whether the gateway is ready; exit 1 when it is not",
		Args:  cobra.NoArgs,
	}
	load := configFlag(c)
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, err := load()
		if err != nil {
			return err
		}
		address := cfg.Listen.Ops.Address
		if address == config.Off {
			return errors.New("listen.ops.address is off, so nobody can be asked")
		}
		if err := ready(cmd.Context(), address); err != nil {
			return err
		}
		_, err = fmt.Fprintln(cmd.OutOrStdout(), "ready")
		return err
	}
	return c
}

// ready asks the ops listener; the error says what is amiss.
func ready(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/readyz", nil)
	if err != nil {
		return err
	}
	direct := &http.Client{Transport: &http.Transport{}} // the environment's proxy does not reach our own listener
	resp, err := direct.Do(r)
	if err != nil {
		return fmt.Errorf("no gateway answers at %s: %w", address, errors.Unwrap(err))
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode == http.StatusOK {
		return nil
	}
	var answer struct {
		Status string `json:"status"`
		Checks map[string]struct {
			Error string `json:"error"`
		} `json:"checks"`
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(&answer); err != nil {
		return fmt.Errorf("%s answered %s, which is not of a gateway", address, resp.Status)
	}
	said := []string{strings.ReplaceAll(answer.Status, "_", " ")}
	for name, check := range answer.Checks {
		if check.Error != "" {
			said = append(said, name+": "+check.Error)
		}
	}
	slices.Sort(said[1:])
	return errors.New(strings.Join(said, "; "))
}
