package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"
)

// Plugin is the last link of the network plugins' chain: a pod that got its address waits here until its policies are
// enforced, so that none ever runs open, and none loses its first packets.
//
// It speaks the container network interface: the command comes in the environment, the configuration on stdin.
type Plugin struct {
	Command   string // ADD, DEL, CHECK, VERSION
	Arguments string // K8S_POD_NAMESPACE=…;K8S_POD_NAME=…;K8S_POD_UID=…
}

type pluginConfig struct {
	CNIVersion string          `json:"cniVersion"`
	Socket     string          `json:"socket"`
	Previous   json.RawMessage `json:"prevResult"`
}

type pluginFault struct {
	CNIVersion string `json:"cniVersion"`
	Code       int    `json:"code"`
	Message    string `json:"msg"`
}

const codeTryAgainLater = 11

// Run carries out one command and gives the process's exit code.
func (p Plugin) Run(stdin io.Reader, stdout io.Writer) int {
	var config pluginConfig
	err := json.NewDecoder(stdin).Decode(&config)
	if err == nil {
		err = p.run(config, stdout)
	}
	if err == nil {
		return 0
	}
	fault := pluginFault{config.CNIVersion, codeTryAgainLater, "network policies: " + err.Error()}
	if err := json.NewEncoder(stdout).Encode(fault); err != nil {
		return 2
	}
	return 1
}

func (p Plugin) run(config pluginConfig, stdout io.Writer) error {
	switch p.Command {
	case "VERSION":
		_, err := io.WriteString(stdout, `{"cniVersion":"0.4.0","supportedVersions":["0.3.1","0.4.0"]}`)
		return err
	case "ADD":
		address, err := assignedAddress(config.Previous)
		if err != nil {
			return err
		}
		if err := send(config.Socket, p.notice(address)); err != nil {
			return err
		}
		_, err = stdout.Write(config.Previous)
		return err
	case "DEL":
		// A pod must be able to leave when the enforcer does not run: its next start knows nothing of the address.
		_ = send(config.Socket, p.notice(""))
	}
	return nil
}

func (p Plugin) notice(address string) Notice {
	arguments := map[string]string{}
	for _, pair := range strings.Split(p.Arguments, ";") {
		key, value, _ := strings.Cut(pair, "=")
		arguments[key] = value
	}
	return Notice{
		Pod:     arguments["K8S_POD_NAMESPACE"] + "/" + arguments["K8S_POD_NAME"],
		UID:     types.UID(arguments["K8S_POD_UID"]),
		Address: address,
	}
}

// assignedAddress finds the pod's IPv4 address in the result of the plugins before.
func assignedAddress(previous json.RawMessage) (string, error) {
	var result struct {
		IPs []struct {
			Address string `json:"address"`
		} `json:"ips"`
	}
	if err := json.Unmarshal(previous, &result); err != nil {
		return "", fmt.Errorf("reading the result before: %w", err)
	}
	for _, ip := range result.IPs {
		if prefix, err := netip.ParsePrefix(ip.Address); err == nil && prefix.Addr().Is4() {
			return prefix.Addr().String(), nil
		}
	}
	return "", errors.New("no address was assigned")
}

func send(socket string, notice Notice) error {
	connection, err := net.DialTimeout("unix", socket, time.Second)
	if err != nil {
		return fmt.Errorf("the enforcer does not run: %w", err)
	}
	defer connection.Close()
	if err := connection.SetDeadline(time.Now().Add(answerWithin + time.Second)); err != nil {
		return err
	}
	if err := json.NewEncoder(connection).Encode(notice); err != nil {
		return err
	}
	var answer Answer
	if err := json.NewDecoder(connection).Decode(&answer); err != nil {
		return fmt.Errorf("the enforcer did not answer: %w", err)
	}
	if answer.Error != "" {
		return errors.New(answer.Error)
	}
	return nil
}

// pluginFromEnvironment tells whether this process was called as a network plugin.
func pluginFromEnvironment() (Plugin, bool) {
	command := os.Getenv("CNI_COMMAND")
	return Plugin{Command: command, Arguments: os.Getenv("CNI_ARGS")}, command != ""
}
