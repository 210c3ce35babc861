package sim

import (
	"encoding/json"
	"fmt"
	"log"
	"maps"
	"net/http"
)

// Stats is the answer of GET /stats.
type Stats struct {
	Sessions Sessions       `json:"sessions"`
	VMs      int            `json:"vms"`
	Calls    map[string]int `json:"calls"`
	InFlight map[string]int `json:"inFlight"`
	BytesOut int64          `json:"bytesOut"`
	Panics   int            `json:"panics"` // of the stock simulator, survived
	Rules    []RuleState    `json:"rules"`
}

// controlHandler is what tests use to look behind the scenes and to make
// things happen. It has no authentication: it listens on loopback only.
func (s *Server) controlHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /stats", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, s.stats())
	})
	mux.HandleFunc("POST /stats/reset", func(w http.ResponseWriter, _ *http.Request) {
		s.front.mu.Lock()
		clear(s.front.calls)
		s.front.bytesOut = 0
		s.front.mu.Unlock()
		answer(w, s.stats())
	})
	mux.HandleFunc("POST /faults", func(w http.ResponseWriter, r *http.Request) {
		var request struct {
			Clear bool   `json:"clear"`
			Add   []Rule `json:"add"`
		}
		if !read(w, r, &request) {
			return
		}
		if request.Clear {
			s.rules.clear()
		}
		if err := s.rules.add(request.Add); err != nil {
			refuse(w, err)
			return
		}
		answer(w, s.rules.states())
	})
	mux.HandleFunc("GET /faults", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, s.rules.states())
	})
	mux.HandleFunc("DELETE /faults", func(w http.ResponseWriter, _ *http.Request) {
		s.rules.clear()
		answer(w, s.rules.states())
	})
	mux.HandleFunc("POST /sessions/terminate", func(w http.ResponseWriter, r *http.Request) {
		var request struct {
			User string   `json:"user"` // empty: everybody
			Keys []string `json:"keys"` // SOAP session keys; empty: all
		}
		if !read(w, r, &request) {
			return
		}
		n := len(request.Keys)
		for _, key := range request.Keys {
			s.sess.terminate(key, "")
		}
		if n == 0 {
			n = s.sess.terminateAll(request.User)
		}
		answer(w, map[string]int{"terminated": n})
	})
	mux.HandleFunc("POST /mutate", func(w http.ResponseWriter, r *http.Request) {
		var request Mutation
		if !read(w, r, &request) {
			return
		}
		result, err := s.Mutate(r.Context(), request)
		if err != nil {
			refuse(w, err)
			return
		}
		answer(w, result)
	})
	mux.HandleFunc("POST /guest/credentials", func(w http.ResponseWriter, r *http.Request) {
		var request struct {
			VM string `json:"vm"`
			Login
		}
		if !read(w, r, &request) {
			return
		}
		vm, err := s.find(request.VM)
		if err != nil {
			refuse(w, err)
			return
		}
		s.guest.set(vm.Self.Value, request.Login)
		answer(w, map[string]string{"vm": vm.Self.Value})
	})
	return mux
}

func (s *Server) stats() Stats {
	stats := Stats{
		Sessions: s.sess.state(),
		VMs:      len(s.model.Map().All("VirtualMachine")),
		Rules:    s.rules.states(),
	}
	s.front.mu.Lock()
	defer s.front.mu.Unlock()
	stats.Calls = maps.Clone(s.front.calls)
	stats.InFlight = maps.Clone(s.front.inFlight)
	stats.BytesOut = s.front.bytesOut
	stats.Panics = s.front.panics
	return stats
}

func read(w http.ResponseWriter, r *http.Request, into any) bool {
	if r.ContentLength == 0 {
		return true
	}
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		refuse(w, fmt.Errorf("the request is not valid: %w", err))
		return false
	}
	return true
}

func refuse(w http.ResponseWriter, err error) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusBadRequest)
	encode(w, map[string]string{"error": err.Error()})
}

func answer(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	encode(w, value)
}

func encode(w http.ResponseWriter, value any) {
	if err := json.NewEncoder(w).Encode(value); err != nil {
		log.Printf("sending a control answer: %v", err)
	}
}
