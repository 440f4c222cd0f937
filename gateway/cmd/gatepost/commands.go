package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/gatepost/gatepost/gateway"
	"github.com/gatepost/gatepost/gateway/internal/config"
)

func root() *cobra.Command {
	c := &cobra.Command{
		Use:           "gatepost",
		Short:         "An authentication gateway: sign-in, single sign-on and a proxy that passes on who it is",
		SilenceUsage:  true,
		SilenceErrors: true,
		Version:       version(),
	}
	c.CompletionOptions.HiddenDefaultCmd = true
	c.AddCommand(
		serveCommand(), demoCommand(), configCommand(), keysCommand(),
		setupLinkCommand(), setupCommand(), tokenCommand(), healthCommand(), usersCommand(), mailCommand(),
	)
	return c
}

// version is what the build recorded: a release's tag, or the commit.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	v := info.Main.Version
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) > 12 {
			v += " " + s.Value[:12]
		}
	}
	return v
}

// configFlag adds --config and returns the function that loads what it names.
func configFlag(c *cobra.Command) func() (config.Config, error) {
	path := c.Flags().String("config", "", "configuration file; without it the defaults and the environment")
	return func() (config.Config, error) { return config.Load(*path, os.Environ()) }
}

func serveCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "serve",
		Short: "Run the gateway",
		Args:  cobra.NoArgs,
	}
	load := configFlag(c)
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, err := load()
		if err != nil {
			return err
		}
		if err := config.Check(cfg); err != nil {
			return err
		}
		log := logger(cfg.Log)
		ctx := cmd.Context()
		g, err := gateway.New(ctx, gateway.Config{Config: cfg, Version: c.Root().Version, Log: log})
		if err != nil {
			return unlessEnded(ctx, err)
		}
		return g.Run(ctx)
	}
	return c
}

// unlessEnded makes the end that a signal asked for an orderly one, also in the
// middle of the start.
func unlessEnded(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// logger writes to standard error what the configuration asks for.
func logger(c config.Log) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(c.Level)) // checked with the configuration
	o := &slog.HandlerOptions{Level: level}
	if c.Format == "json" {
		return slog.New(slog.NewJSONHandler(os.Stderr, o))
	}
	return slog.New(slog.NewTextHandler(os.Stderr, o))
}

func configCommand() *cobra.Command {
	group := &cobra.Command{Use: "config", Short: "Look at the configuration"}
	check := &cobra.Command{
		Use:   "check",
		Short: "List everything that is wrong with the configuration, and start nothing",
		Args:  cobra.NoArgs,
	}
	load := configFlag(check)
	check.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, err := load()
		if err == nil {
			err = config.Check(cfg)
		}
		if err != nil {
			return err
		}
		_, err = fmt.Fprintln(cmd.OutOrStdout(), "The configuration is complete.")
		return err
	}
	group.AddCommand(check)
	return group
}

func demoCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "demo",
		Short: "Run the gateway with two known users and a protected app, on this machine only",
		Args:  cobra.NoArgs,
	}
	listen := c.Flags().String("listen", "127.0.0.1:8080", "loopback address; port 0 takes any free one")
	data := c.Flags().String("data", ".gatepost-demo", "directory for the demo's data")
	c.RunE = func(cmd *cobra.Command, _ []string) error {
		cfg, err := demoConfig()
		if err != nil {
			return err
		}
		ctx := cmd.Context()
		return unlessEnded(ctx, gateway.Demo(ctx, gateway.DemoConfig{
			Config: cfg, Listen: *listen, Data: *data, Out: cmd.OutOrStdout(), Version: c.Root().Version, Log: logger(cfg.Log),
		}))
	}
	return c
}

// demoConfig is the defaults and the environment, so that the demo can be tried
// on another store.
func demoConfig() (config.Config, error) {
	cfg, err := config.Load("", append(os.Environ(), "GATEPOST_LISTEN__OPS__ADDRESS=off"))
	if cfg.Log.Level == "info" {
		cfg.Log.Level = "warn" // what matters is on standard output
	}
	return cfg, err
}
