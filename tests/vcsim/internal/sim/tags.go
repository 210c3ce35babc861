package sim

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"

	"github.com/vmware/govmomi/event"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

const taggingPath = "/rest/com/vmware/cis/tagging/"

// tagging is one attachment.
type tagging struct {
	category, name string
	object         types.ManagedObjectReference
}

// tagBook creates the tags over the simulator's own REST service and posts the
// events that vCenter posts, and the stock simulator does not, when an
// attachment changes.
type tagBook struct {
	plan    []tagging
	session string

	mu   sync.Mutex
	ids  map[string]string // "Category:Name" to tag id
	name map[string]string // tag id to tag name
}

type objectID struct {
	ID   string `json:"id"`
	Type string `json:"type"`
}

var stockTags = []struct {
	category, cardinality string
	names                 []string
}{
	{"Patch Group", "SINGLE", []string{"web", "db", "app"}},
	{"Environment", "MULTIPLE", []string{"Production", "Test", "Déjà vu"}},
	{"Backup", "MULTIPLE", []string{"Production"}}, // a name that another category has too
	{"Größe", "SINGLE", []string{"100%/groß"}},
	{"Unused", "SINGLE", []string{"never attached"}},
}

// rest calls the simulator's REST service from inside the process.
func (t *tagBook) rest(s *Server, method, path string, body, into any) error {
	data, err := json.Marshal(body)
	if err != nil {
		return err
	}
	req := httptest.NewRequest(method, path, bytes.NewReader(data))
	if t.session != "" {
		req.Header.Set(restCookie, t.session)
	} else {
		password, _ := s.model.Service.Listen.User.Password()
		req.SetBasicAuth(s.model.Service.Listen.User.Username(), password)
	}
	w := httptest.NewRecorder()
	s.model.Service.ServeMux.ServeHTTP(w, req)
	if w.Code != http.StatusOK {
		return fmt.Errorf("%s %s: HTTP status %d", method, path, w.Code)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(w.Body.Bytes(), into)
}

func (t *tagBook) create(s *Server) error {
	t.ids = make(map[string]string)
	t.name = make(map[string]string)
	var made struct{ Value string }
	if err := t.rest(s, http.MethodPost, restSession, nil, &made); err != nil {
		return err
	}
	t.session = made.Value
	for _, c := range stockTags {
		spec := map[string]any{
			"name": c.category, "cardinality": c.cardinality, "description": "made by the test simulator",
			"associable_types": []string{"VirtualMachine", "HostSystem"},
		}
		if err := t.rest(s, http.MethodPost, taggingPath+"category", map[string]any{"create_spec": spec}, &made); err != nil {
			return err
		}
		category := made.Value
		for _, name := range c.names {
			spec := map[string]any{"name": name, "category_id": category, "description": ""}
			if err := t.rest(s, http.MethodPost, taggingPath+"tag", map[string]any{"create_spec": spec}, &made); err != nil {
				return err
			}
			t.ids[c.category+":"+name] = made.Value
			t.name[made.Value] = name
		}
	}
	byTag := make(map[string][]objectID)
	for _, p := range t.plan {
		id := t.ids[p.category+":"+p.name]
		byTag[id] = append(byTag[id], objectID{p.object.Value, p.object.Type})
	}
	for id, objects := range byTag {
		path := taggingPath + "tag-association/id:" + id + "?~action=attach-tag-to-multiple-objects"
		if err := t.rest(s, http.MethodPost, path, map[string]any{"object_ids": objects}, nil); err != nil {
			return err
		}
	}
	t.plan = nil
	return nil
}

// attach attaches or detaches the tag "Category:Name".
func (t *tagBook) attach(s *Server, ref types.ManagedObjectReference, name string, attach bool) error {
	t.mu.Lock()
	id, ok := t.ids[name]
	t.mu.Unlock()
	if !ok {
		return fmt.Errorf("there is no tag %q; write Category:Name", name)
	}
	action := "detach"
	if attach {
		action = "attach"
	}
	path := taggingPath + "tag-association/id:" + id + "?~action=" + action
	body := map[string]any{"object_id": objectID{ref.Value, ref.Type}}
	if err := t.rest(s, http.MethodPost, path, body, nil); err != nil {
		return err
	}
	return t.post(s, action, id, ref)
}

// post announces a change the way vCenter does.
func (t *tagBook) post(s *Server, action, id string, ref types.ManagedObjectReference) error {
	t.mu.Lock()
	name := t.name[id]
	t.mu.Unlock()
	if name == "" {
		var tag struct{ Value struct{ Name string } }
		if err := t.rest(s, http.MethodGet, taggingPath+"tag/id:"+id, nil, &tag); err != nil {
			return err
		}
		name = tag.Value.Name
	}
	object := ref.Value
	if entity, ok := s.model.Map().Get(ref).(mo.Entity); ok {
		object = entity.Entity().Name
	}
	e := &types.EventEx{
		EventTypeId: "com.vmware.cis.tagging." + action,
		Severity:    "info",
		ObjectId:    ref.Value,
		ObjectType:  ref.Type,
		ObjectName:  object,
		Arguments: []types.KeyAnyValue{
			{Key: "User", Value: "vcsim"}, {Key: "Tag", Value: name}, {Key: "Object", Value: object},
		},
	}
	e.FullFormattedMessage = fmt.Sprintf("User vcsim %sed tag %s: object %s", action, name, object)
	return event.NewManager(s.client).PostEvent(context.Background(), e)
}

// changed posts events for attachments that clients change over REST.
func (t *tagBook) changed(s *Server) func(*http.Request, []byte) {
	return func(r *http.Request, body []byte) {
		action := r.URL.Query().Get("~action")
		verb := "attach"
		if strings.HasPrefix(action, "detach") {
			verb = "detach"
		} else if !strings.HasPrefix(action, "attach") {
			return // a query
		}
		var request struct {
			Object  *objectID  `json:"object_id"`
			Objects []objectID `json:"object_ids"`
			Tags    []string   `json:"tag_ids"`
		}
		if json.Unmarshal(body, &request) != nil {
			return
		}
		if _, id, ok := strings.Cut(r.URL.Path, "/id:"); ok {
			request.Tags = append(request.Tags, id)
		}
		if request.Object != nil {
			request.Objects = append(request.Objects, *request.Object)
		}
		for _, id := range request.Tags {
			for _, o := range request.Objects {
				ref := types.ManagedObjectReference{Type: o.Type, Value: o.ID}
				if err := t.post(s, verb, id, ref); err != nil {
					log.Printf("announce a tag change: %v", err)
				}
			}
		}
	}
}
