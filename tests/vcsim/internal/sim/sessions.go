package sim

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

// sessions keeps what the simulator does not: which calls run under which
// session, the REST sessions, and a true idle timeout. On vCenter a long poll
// keeps its session alive, so a session with a call in flight is not idle.
type sessions struct {
	direct   http.Handler // the stock simulator, without the front
	soapPath string
	list     func() []types.UserSession
	idle     time.Duration // 0: sessions never expire

	mu      sync.Mutex
	running map[*call]struct{}
	last    map[string]time.Time // SOAP session: end of its last call
	rest    map[string]time.Time // REST session: its last use
	ended   int
}

type call struct {
	session string
	method  string
	this    string
}

func newSessions(direct http.Handler, soapPath string, manager func() *simulator.SessionManager, idle time.Duration) *sessions {
	return &sessions{
		direct:   direct,
		soapPath: soapPath,
		idle:     idle,
		list: func() []types.UserSession {
			if m := manager(); m != nil {
				return m.SessionList
			}
			return nil
		},
		running: make(map[*call]struct{}),
		last:    make(map[string]time.Time),
		rest:    make(map[string]time.Time),
	}
}

func (s *sessions) enter(session, method, this string) *call {
	s.expire(time.Now())
	c := &call{session, method, this}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running[c] = struct{}{}
	return c
}

func (s *sessions) leave(c *call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.running, c)
	if c.session != "" {
		s.last[c.session] = time.Now()
	}
}

func (s *sessions) addREST(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rest[id] = time.Now()
}

func (s *sessions) dropREST(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.rest, id)
}

func (s *sessions) touchREST(id string) {
	s.expire(time.Now())
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.rest[id]; ok {
		s.rest[id] = time.Now()
	}
}

// sweep expires idle sessions until stop is closed.
func (s *sessions) sweep(stop <-chan struct{}) {
	if s.idle <= 0 {
		return
	}
	ticker := time.NewTicker(max(s.idle/4, 50*time.Millisecond))
	defer ticker.Stop()
	for {
		select {
		case <-stop:
			return
		case now := <-ticker.C:
			s.expire(now)
		}
	}
}

func (s *sessions) expire(now time.Time) {
	if s.idle <= 0 {
		return
	}
	var soap, rest []string
	open := s.list()
	s.mu.Lock()
	busy := make(map[string]bool)
	for c := range s.running {
		busy[c.session] = true
	}
	for _, session := range open {
		seen := session.LastActiveTime
		if last, ok := s.last[session.Key]; ok && last.After(seen) {
			seen = last
		}
		if !busy[session.Key] && now.Sub(seen) > s.idle {
			soap = append(soap, session.Key)
		}
	}
	for id, seen := range s.rest {
		if now.Sub(seen) > s.idle {
			rest = append(rest, id)
		}
	}
	s.mu.Unlock()
	for _, id := range soap {
		s.terminate(id, "")
	}
	for _, id := range rest {
		s.terminate("", id)
	}
}

// terminate ends one SOAP and one REST session (empty: none). Long polls of
// the session are cancelled first; then a logout runs in its name, because
// only that removes the session's filters and views from the simulator.
func (s *sessions) terminate(soap, rest string) {
	if soap != "" {
		s.mu.Lock()
		var polls []string
		for c := range s.running {
			if c.session == soap && strings.HasPrefix(c.method, "WaitForUpdates") {
				polls = append(polls, c.this)
			}
		}
		s.mu.Unlock()
		for _, this := range polls {
			s.call(soap, "PropertyCollector", this, "CancelWaitForUpdates")
		}
		for deadline := time.Now().Add(time.Second); len(polls) > 0 && s.polling(soap) && time.Now().Before(deadline); {
			time.Sleep(5 * time.Millisecond)
		}
		s.call(soap, "SessionManager", "SessionManager", "Logout")
		s.mu.Lock()
		delete(s.last, soap)
		s.ended++
		s.mu.Unlock()
	}
	if rest != "" {
		req := httptest.NewRequest(http.MethodDelete, restSession, nil)
		req.Header.Set(restCookie, rest)
		s.direct.ServeHTTP(httptest.NewRecorder(), req)
		s.dropREST(rest)
		s.mu.Lock()
		s.ended++
		s.mu.Unlock()
	}
}

func (s *sessions) polling(soap string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.running {
		if c.session == soap && strings.HasPrefix(c.method, "WaitForUpdates") {
			return true
		}
	}
	return false
}

func (s *sessions) call(session, kind, this, method string) {
	body := fmt.Sprintf(`<?xml version="1.0"?><Envelope xmlns="http://schemas.xmlsoap.org/soap/envelope/"><Body>`+
		`<%s xmlns="urn:vim25"><_this type="%s">%s</_this></%s></Body></Envelope>`, method, kind, this, method)
	req := httptest.NewRequest(http.MethodPost, s.soapPath, strings.NewReader(body))
	req.AddCookie(&http.Cookie{Name: soapCookie, Value: session})
	defer func() {
		// The session may have vanished in between; nothing is left to end then.
		_ = recover()
	}()
	s.direct.ServeHTTP(httptest.NewRecorder(), req)
}

// Sessions is the state of the session table.
type Sessions struct {
	SOAP     int                 `json:"soap"`
	REST     int                 `json:"rest"`
	Ended    int                 `json:"ended"` // by expiry or by command
	SOAPList []types.UserSession `json:"soapList"`
}

func (s *sessions) state() Sessions {
	s.expire(time.Now())
	list := s.list()
	s.mu.Lock()
	defer s.mu.Unlock()
	return Sessions{SOAP: len(list), REST: len(s.rest), Ended: s.ended, SOAPList: list}
}

// terminateAll ends every session, or those of one user.
func (s *sessions) terminateAll(user string) int {
	n := 0
	for _, session := range s.list() {
		if user == "" || session.UserName == user {
			s.terminate(session.Key, "")
			n++
		}
	}
	s.mu.Lock()
	rest := make([]string, 0, len(s.rest))
	for id := range s.rest {
		rest = append(rest, id)
	}
	s.mu.Unlock()
	for _, id := range rest {
		s.terminate("", id)
		n++
	}
	return n
}
