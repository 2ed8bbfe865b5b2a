package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
)

const previous = `{"cniVersion":"0.4.0","ips":[{"version":"4","address":"10.244.0.7/24"}]}`

// fakeEnforcer answers every notice with the same words and hands on what it heard.
func fakeEnforcer(t *testing.T, answer Answer) (string, <-chan Notice) {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "socket")
	listener, err := Listen(socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	heard := make(chan Notice, 1)
	go func() {
		connection, err := listener.Accept()
		if err != nil {
			return
		}
		defer connection.Close()
		var notice Notice
		if json.NewDecoder(connection).Decode(&notice) == nil {
			heard <- notice
			_ = json.NewEncoder(connection).Encode(answer)
		}
	}()
	return socket, heard
}

func call(command, socket string) (int, string) {
	plugin := Plugin{command, "IgnoreUnknown=1;K8S_POD_NAMESPACE=plm;K8S_POD_NAME=node-a-0;K8S_POD_UID=u1"}
	var stdout bytes.Buffer
	config := fmt.Sprintf(`{"cniVersion":"0.4.0","socket":%q,"prevResult":%s}`, socket, previous)
	code := plugin.Run(strings.NewReader(config), &stdout)
	return code, stdout.String()
}

func TestAddTellsTheAddressAndHandsOnTheResult(t *testing.T) {
	socket, heard := fakeEnforcer(t, Answer{})
	code, output := call("ADD", socket)
	if code != 0 || output != previous {
		t.Errorf("exit code %d, output %s", code, output)
	}
	if got := <-heard; got != (Notice{"plm/node-a-0", "u1", "10.244.0.7"}) {
		t.Errorf("told %+v", got)
	}
}

func TestAddFailsWhenTheRulesAreNotInForce(t *testing.T) {
	socket, _ := fakeEnforcer(t, Answer{"not in force"})
	if code, output := call("ADD", socket); code != 1 || !strings.Contains(output, "not in force") {
		t.Errorf("exit code %d, output %s", code, output)
	}
}

func TestAddFailsWhenNobodyEnforces(t *testing.T) {
	if code, output := call("ADD", filepath.Join(t.TempDir(), "nobody")); code != 1 || !strings.Contains(output, "does not run") {
		t.Errorf("exit code %d, output %s", code, output)
	}
}

func TestDelGivesTheAddressBackAndNeverFails(t *testing.T) {
	socket, heard := fakeEnforcer(t, Answer{})
	if code, _ := call("DEL", socket); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if got := <-heard; got.Address != "" || got.UID != "u1" {
		t.Errorf("told %+v", got)
	}
	if code, _ := call("DEL", filepath.Join(t.TempDir(), "nobody")); code != 0 {
		t.Errorf("without enforcer: exit code %d", code)
	}
}

func TestTheEnforcerListensWhereADeadOneDid(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "socket")
	dead, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	dead.(*net.UnixListener).SetUnlinkOnClose(false)
	dead.Close()
	again, err := Listen(socket)
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
}

func TestATrackedConnectionIsReadBehindItsService(t *testing.T) {
	got, ok := flowOf(tracked("10.244.0.11", "10.96.0.20", 443, "10.244.0.10", 8443))
	want := Flow{netip.MustParseAddr("10.244.0.11"), netip.MustParseAddr("10.244.0.10"), "tcp", 8443}
	if !ok || got != want {
		t.Errorf("read %+v", got)
	}
}
