package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

func usersCommand() *cobra.Command {
	group := &cobra.Command{Use: "users", Short: "Move users into and out of a running gateway"}
	group.AddCommand(usersImportCommand(), usersExportCommand())
	return group
}

// peopleFlags adds what says which gateway and which pool.
func peopleFlags(c *cobra.Command) func(context.Context) (*people, error) {
	load := configFlag(c)
	pool := c.Flags().String("pool", "", "id of the identity pool")
	tenant := c.Flags().String("tenant", "", "id of the tenant (default: that of the client file, or \"default\")")
	url := c.Flags().String("url", "", "base URL of the gateway (default: that of the client file)")
	file := c.Flags().String("client-file", "", "file that `gatepost setup` wrote; without it the gateway on this machine is asked over its operator socket")
	if err := c.MarkFlagRequired("pool"); err != nil {
		panic(err) // the flag is defined above
	}
	return func(ctx context.Context) (*people, error) {
		if *file == "" && *url != "" {
			return nil, errors.New("--url needs --client-file, to get a token with")
		}
		if *file != "" {
			return remotePeople(ctx, *file, *url, *tenant, *pool)
		}
		cfg, err := load()
		if err != nil {
			return nil, err
		}
		return localPeople(cfg, cmp.Or(*tenant, "default"), *pool), nil
	}
}

func usersImportCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "import FILE",
		Short: "Create users from a file, in a gateway that runs",
		Long: `Create users from a file, in a gateway that runs. A line of NDJSON is a user as the
API takes it, with external_id, groups and credentials such as
  {"type":"password","hashed_password":"$2b$12$..."}
besides. CSV has a header with columns of: email, phone, username, external_id,
given_name, family_name, name, status, hashed_password, password_state, verified,
groups (with ; between), payload.MEMBER.

A user whose external_id is known is left as it is, so the command may be run
again; when it was stopped it goes on where it was. Rows that fail do not stop the
rest: they are listed, and the exit status is 1.`,
		Args: cobra.ExactArgs(1),
	}
	connect := peopleFlags(c)
	dry := c.Flags().Bool("dry-run", false, "check every row against the pool and the other rows; write nothing")
	format := c.Flags().String("format", "", "ndjson or csv (default: by the name of the file)")
	report := c.Flags().String("report", "", "file for what became of every row, one JSON object a line; without it rows that failed are printed")
	c.RunE = func(cmd *cobra.Command, args []string) error {
		csv, err := isCSV(*format, args[0])
		if err != nil {
			return err
		}
		to, err := connect(cmd.Context())
		if err != nil {
			return err
		}
		i := &importing{to: to, path: args[0], csv: csv, dry: *dry, report: *report, out: cmd.OutOrStdout(), progress: cmd.ErrOrStderr()}
		return i.run(cmd.Context())
	}
	return c
}

// isCSV tells the format of a file.
func isCSV(format, path string) (bool, error) {
	switch {
	case format == "csv", format == "" && strings.HasSuffix(strings.ToLower(path), ".csv"):
		return true, nil
	case format == "ndjson", format == "":
		return false, nil
	}
	return false, fmt.Errorf("--format %s: it is ndjson or csv", format)
}

func usersExportCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "export",
		Short: "Write all users of a pool in a form that import reads",
		Args:  cobra.NoArgs,
	}
	connect := peopleFlags(c)
	format := c.Flags().String("format", "ndjson", "ndjson, or csv, which holds one e-mail address, phone number and username a user and of the credentials the password hash")
	secrets := c.Flags().Bool("with-credentials", false, "with password hashes, TOTP secrets in the clear and passkeys: keep such a file as you keep a password")
	path := c.Flags().String("out", "", "file to write, readable by you alone (default: standard output)")
	c.RunE = func(cmd *cobra.Command, _ []string) (err error) {
		csv, err := isCSV(*format, "")
		if err != nil {
			return err
		}
		from, err := connect(cmd.Context())
		if err != nil {
			return err
		}
		var out io.Writer = cmd.OutOrStdout()
		if *path != "" {
			f, err := os.OpenFile(*path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, f.Close()) }()
			out = f
		}
		if csv {
			return exportCSV(cmd.Context(), from, *secrets, out, cmd.ErrOrStderr())
		}
		return from.pages(cmd.Context(), *secrets, func(page []byte) error {
			_, err := out.Write(page)
			return err
		})
	}
	return c
}
