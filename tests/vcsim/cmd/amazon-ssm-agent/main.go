// Command amazon-ssm-agent stands in for SSM Agent in guests of tests. It
// takes the arguments that the agent takes, keeps its files where the agent
// keeps them and speaks its protocol, with nothing of AWS's and nothing of the
// simulator's in it. See ../../README.md.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"syscall"

	"vmbridge/tests/vcsim/internal/agent"
)

func main() {
	version := flag.Bool("version", false, "print the version")
	register := flag.Bool("register", false, "register with an activation")
	code := flag.String("code", "", "code of the activation")
	id := flag.String("id", "", "id of the activation")
	region := flag.String("region", "", "Region")
	yes := flag.Bool("y", false, "answer every question with yes")
	root := flag.String("root", "/", "directory to take for the root, for tests of this program")
	flag.Parse()
	log.SetFlags(log.Ltime)

	a := agent.Agent{Root: *root}
	switch {
	case *version:
		fmt.Printf("SSM Agent version: %s\n", agent.Version)
	case *register:
		node, err := a.Register(context.Background(), *code, *id, *region, *yes)
		if err != nil {
			// In the words of SSM Agent, which has its log on standard error.
			fmt.Fprintf(os.Stderr, "ERROR Registration failed due to error registering the instance with AWS SSM. %v\n", err)
			os.Exit(1)
		}
		fmt.Fprintf(os.Stderr, "INFO Successfully registered the instance with AWS SSM using Managed instance-id: %s\n", node)
	default:
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
		defer stop()
		if err := a.Run(ctx); err != nil {
			log.Fatalf("amazon-ssm-agent: %v", err)
		}
	}
}
