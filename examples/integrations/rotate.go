// Shows what an API key may do, and replaces it: go run rotate.go
// Reads COUNTERFOIL_URL, and the key from the file that KEY_FILE names, to which the new one is written.
// It needs nothing but Go.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strconv"
	"time"
)

type apiKey struct {
	Name      string `json:"name"`
	ExpiresAt string `json:"expires_at"`
	Key       string `json:"key"`
}

var (
	url     = os.Getenv("COUNTERFOIL_URL")
	keyFile = os.Getenv("KEY_FILE")
	client  = http.Client{Timeout: 10 * time.Second}
)

// The answer, once there is one: after 429 and 503 the service says when to ask again.
func call(method, path string, attempts int) apiKey {
	key, err := os.ReadFile(keyFile)
	check(err)
	request, err := http.NewRequest(method, url+path, nil)
	check(err)
	request.Header.Set("X-API-Key", string(key))
	answer, err := client.Do(request)
	check(err)
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	check(err)
	status := answer.StatusCode
	if status < 300 {
		var found apiKey
		check(json.Unmarshal(body, &found))
		return found
	}
	if (status != 429 && status != 503) || attempts == 1 {
		log.Fatalf("%d: %s", status, body)
	}
	seconds, _ := strconv.Atoi(answer.Header.Get("Retry-After"))
	time.Sleep(time.Duration(seconds) * time.Second)
	return call(method, path, attempts-1)
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func main() {
	current := call("GET", "/api-keys/current", 3)
	// A key that never expires has null, which Go reads as nothing.
	expires := "never"
	if current.ExpiresAt != "" {
		expires = current.ExpiresAt[:10]
	}
	fmt.Printf("%s, expires: %s\n", current.Name, expires)
	replaced := call("POST", "/api-keys/current/rotate", 3)
	// Written beside and moved, so that the file never holds half of a key.
	check(os.WriteFile(keyFile+".new", []byte(replaced.Key), 0o600))
	check(os.Rename(keyFile+".new", keyFile))
}
