// Command mirror serves a directory over HTTPS on loopback until SIGTERM: the
// place that guests of tests get packages from. It writes ca.pem and url to the
// directory of --out.
package main

import (
	"flag"
	"log"
	"os"
	"os/signal"
	"syscall"

	"vmbridge/tests/vcsim/internal/sim"
)

func main() {
	files := flag.String("files", ".", "directory to serve")
	out := flag.String("out", ".", "directory for ca.pem and url")
	flag.Parse()
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	mirror, err := sim.StartMirror(*files, *out)
	if err != nil {
		log.Fatalf("mirror: %v", err)
	}
	<-signals
	if err := mirror.Close(); err != nil {
		log.Fatalf("mirror: %v", err)
	}
}
