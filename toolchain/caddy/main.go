// Command caddy is Caddy with its standard modules, and one habit more: it loads its configuration anew when the
// certificate that it serves changes on disk. Kubernetes swaps mounted Secrets; Caddy reads files only on a load.
package main

import (
	"bytes"
	"log"
	"net/http"
	"os"
	"time"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	_ "github.com/caddyserver/caddy/v2/modules/standard"
)

const (
	certificate = "/var/run/plm/tls/tls.crt"
	admin       = "http://127.0.0.1:2019"
	lookEvery   = 5 * time.Second
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "run" {
		go follow(certificate)
	}
	caddycmd.Main()
}

// follow reloads whenever the file's content differs from what was served before.
func follow(path string) {
	served, _ := os.ReadFile(path)
	for range time.Tick(lookEvery) {
		found, err := os.ReadFile(path)
		if err != nil || bytes.Equal(found, served) {
			continue
		}
		if err := reload(); err != nil {
			log.Printf("could not load the renewed certificate, trying again: %v", err)
			continue
		}
		served = found
	}
}

// reload asks for the running configuration and loads it once more, although it is unchanged.
func reload() error {
	current, err := http.Get(admin + "/config/")
	if err != nil {
		return err
	}
	defer current.Body.Close()
	request, err := http.NewRequest(http.MethodPost, admin+"/load", current.Body)
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Cache-Control", "must-revalidate")
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return &http.ProtocolError{ErrorString: answer.Status}
	}
	return nil
}
