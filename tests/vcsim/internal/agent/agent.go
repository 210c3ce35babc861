// Package agent is what tests install in guests in place of SSM Agent: it
// registers with an activation and reports that it is there, by the same calls
// in the same form. When it fails, the node does not come Online, and the log
// of the program says what the service answered.
package agent

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Version is higher than that of any agent: a test that gets the true one by
// mistake is noticed.
const Version = "3.3.9999.0"

// pulse is how often the agent says that it is there; SSM Agent takes five
// minutes, for which no test waits.
const pulse = 3 * time.Second

// Agent is an agent whose files are under Root.
type Agent struct {
	Root string
}

// registration is what other programs read to learn which node this is.
type registration struct {
	ManagedInstanceID string
	Region            string
}

// vault is what only the agent reads; SSM Agent calls the members so, too.
type vault struct {
	InstanceID     string `json:"instanceID"`
	Region         string `json:"region"`
	PrivateKey     string `json:"privateKey"`
	PrivateKeyType string `json:"privateKeyType"`
	Fingerprint    string `json:"fingerprint"`
}

func (a Agent) path(parts ...string) string {
	return filepath.Join(append([]string{a.Root}, parts...)...)
}

func (a Agent) registrationFile() string {
	return a.path("var/lib/amazon/ssm/registration")
}

func (a Agent) vaultFile() string {
	return a.path("var/lib/amazon/ssm/Vault/Store/RegistrationKey")
}

// service reads the agent's configuration.
func (a Agent) service(region string) (*service, error) {
	var config struct {
		Ssm struct{ Endpoint string }
	}
	text, err := os.ReadFile(a.path("etc/amazon/ssm/amazon-ssm-agent.json"))
	if err == nil {
		err = json.Unmarshal(text, &config)
	} else if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the configuration: %w", err)
	}
	endpoint := config.Ssm.Endpoint
	if endpoint == "" {
		endpoint = "https://ssm." + region + ".amazonaws.com"
	}
	if !strings.Contains(endpoint, "://") {
		endpoint = "https://" + endpoint
	}
	return newService(endpoint, region)
}

// Register makes a key, registers it and keeps it. It gives the node's id.
func (a Agent) Register(ctx context.Context, code, id, region string, yes bool) (string, error) {
	if code == "" || id == "" || region == "" {
		return "", errors.New("-code, -id and -region are needed")
	}
	if _, err := os.Stat(a.vaultFile()); err == nil && !yes {
		return "", errors.New("it is registered already")
	}
	service, err := a.service(region)
	if err != nil {
		return "", err
	}
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return "", fmt.Errorf("make a key: %w", err)
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return "", fmt.Errorf("encode the key: %w", err)
	}
	fingerprint := rand.Text()
	var answer struct{ InstanceId string }
	err = service.call(ctx, unsigned{}, "RegisterManagedInstance", map[string]any{
		"ActivationCode": code, "ActivationId": id, "Fingerprint": fingerprint,
		"PublicKey": base64.StdEncoding.EncodeToString(public), "PublicKeyType": "Rsa",
	}, &answer)
	if err != nil {
		return "", err
	}
	private := base64.StdEncoding.EncodeToString(x509.MarshalPKCS1PrivateKey(key))
	err = errors.Join(
		write(a.vaultFile(), 0o600, vault{answer.InstanceId, region, private, "Rsa", fingerprint}),
		write(a.registrationFile(), 0o644, registration{answer.InstanceId, region}),
	)
	return answer.InstanceId, err
}

func write(path string, mode os.FileMode, value any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("encode %s: %w", path, err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("make the directory: %w", err)
	}
	if err := os.WriteFile(path+".new", text, mode); err != nil {
		return fmt.Errorf("write the registration: %w", err)
	}
	return os.Rename(path+".new", path)
}

// Run says again and again that the node is there, or nothing at all where a
// test has put a file "silent" beside the configuration.
func (a Agent) Run(ctx context.Context) error {
	for {
		if _, err := os.Stat(a.path("etc/amazon/ssm/silent")); err == nil {
			<-ctx.Done()
			return nil
		}
		if err := a.live(ctx); err != nil {
			log.Print(err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pulse):
		}
	}
}

// live is the life of the agent while its credentials are good.
func (a Agent) live(ctx context.Context) error {
	text, err := os.ReadFile(a.vaultFile())
	if err != nil {
		return fmt.Errorf("not registered: %w", err)
	}
	var known vault
	if err := json.Unmarshal(text, &known); err != nil {
		return fmt.Errorf("read the registration: %w", err)
	}
	service, err := a.service(known.Region)
	if err != nil {
		return err
	}
	der, err := base64.StdEncoding.DecodeString(known.PrivateKey)
	if err != nil {
		return fmt.Errorf("read the key: %w", err)
	}
	key, err := x509.ParsePKCS1PrivateKey(der)
	if err != nil {
		return fmt.Errorf("read the key: %w", err)
	}
	var token struct {
		AccessKeyId, SecretAccessKey, SessionToken string
		TokenExpirationDate                        float64
	}
	node := nodeKey{node: known.InstanceID, key: key}
	err = service.call(ctx, node, "RequestManagedInstanceRoleToken", map[string]any{"Fingerprint": known.Fingerprint}, &token)
	if err != nil {
		return err
	}
	signer := credentials{token.AccessKeyId, token.SecretAccessKey, token.SessionToken}
	until := time.Unix(int64(token.TokenExpirationDate), 0).Add(-time.Minute)
	for time.Now().Before(until) {
		if err := service.call(ctx, signer, "UpdateInstanceInformation", a.information(known.InstanceID), nil); err != nil {
			return err
		}
		if err := service.call(ctx, signer, "ListInstanceAssociations", map[string]any{"InstanceId": known.InstanceID, "MaxResults": 20}, nil); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pulse):
		}
	}
	return nil
}

func (a Agent) information(node string) map[string]any {
	name, err := os.Hostname()
	if err != nil {
		name = "unknown"
	}
	system := a.system()
	return map[string]any{
		"AgentName": "amazon-ssm-agent", "AgentStatus": "Active", "AgentVersion": Version, "AvailabilityZone": "",
		"ComputerName": name, "IPAddress": address(), "InstanceId": node, "PlatformType": "Linux",
		"PlatformName": system["NAME"], "PlatformVersion": system["VERSION_ID"], "SSMConnectionChannel": "ec2messages",
	}
}

// system reads os-release.
func (a Agent) system() map[string]string {
	found := make(map[string]string)
	text, _ := os.ReadFile(a.path("etc/os-release"))
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			found[name] = strings.Trim(value, `"`)
		}
	}
	return found
}

// address is the first that is not of loopback, or that of loopback.
func address() string {
	addresses, _ := net.InterfaceAddrs()
	for _, a := range addresses {
		if ip, ok := a.(*net.IPNet); ok && !ip.IP.IsLoopback() && ip.IP.To4() != nil {
			return ip.IP.String()
		}
	}
	return "127.0.0.1"
}
