package sim

import (
	"bytes"
	"fmt"
	"log"
	"net"
	"net/http"
	"reflect"
	"strconv"

	"github.com/vmware/govmomi/vim25/types"
	"github.com/vmware/govmomi/vim25/xml"
)

// response watches an answer and can hold it back to damage it.
type response struct {
	http.ResponseWriter
	buffer  *bytes.Buffer // when set, nothing is sent before flush
	status  int
	started bool
	written int64
	length  int // Content-Length to announce, when it differs from what is sent
}

// WriteHeader implements http.ResponseWriter.
func (w *response) WriteHeader(status int) {
	w.started = true
	w.status = status
	if w.buffer == nil {
		w.ResponseWriter.WriteHeader(status)
	}
}

// Write implements http.ResponseWriter.
func (w *response) Write(p []byte) (int, error) {
	w.started = true
	if w.buffer != nil {
		return w.buffer.Write(p)
	}
	n, err := w.ResponseWriter.Write(p)
	w.written += int64(n)
	return n, err
}

// truncate cuts the held answer while still announcing its full length.
func (w *response) truncate(at int) {
	w.length = w.buffer.Len()
	w.buffer.Truncate(at)
}

// flush sends a held answer.
func (w *response) flush() {
	if w.length > 0 {
		w.Header().Set("Content-Length", strconv.Itoa(w.length))
	}
	w.ResponseWriter.WriteHeader(w.status)
	_, err := w.ResponseWriter.Write(w.buffer.Bytes())
	if err != nil {
		log.Printf("sending a held answer: %v", err)
	}
	if w.length > 0 {
		// Aborting throws away what has not been flushed.
		if err := http.NewResponseController(w.ResponseWriter).Flush(); err != nil {
			log.Printf("sending a cut answer: %v", err)
		}
		// Fewer bytes than announced: make the server close the connection.
		panic(http.ErrAbortHandler)
	}
}

// reset drops the connection with a TCP reset, where the transport allows it.
func (w *response) reset() {
	hijacker, ok := w.ResponseWriter.(http.Hijacker)
	if !ok {
		panic(http.ErrAbortHandler)
	}
	conn, _, err := hijacker.Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	type wrapper interface{ NetConn() net.Conn }
	raw := conn
	if tls, ok := conn.(wrapper); ok {
		raw = tls.NetConn()
	}
	if tcp, ok := raw.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	// Closing the raw connection skips TLS's polite goodbye.
	_ = raw.Close()
}

type envelope struct {
	XMLName xml.Name `xml:"soapenv:Envelope"`
	Env     string   `xml:"xmlns:soapenv,attr"`
	XSD     string   `xml:"xmlns:xsd,attr"`
	XSI     string   `xml:"xmlns:xsi,attr"`
	Fault   struct {
		Code   string `xml:"faultcode"`
		String string `xml:"faultstring"`
		Detail struct {
			Fault detail
		} `xml:"detail"`
	} `xml:"soapenv:Body>soapenv:Fault"`
}

type detail struct{ fault types.BaseMethodFault }

// MarshalXML names the element after the fault's type, as vCenter does.
func (d detail) MarshalXML(e *xml.Encoder, start xml.StartElement) error {
	kind := reflect.TypeOf(d.fault).Elem().Name()
	start.Name.Local = kind + "Fault"
	start.Attr = append(start.Attr,
		xml.Attr{Name: xml.Name{Local: "xmlns"}, Value: "urn:vim25"},
		xml.Attr{Name: xml.Name{Local: "xsi:type"}, Value: kind})
	return e.EncodeElement(d.fault, start)
}

// writeFault answers with a SOAP fault.
func writeFault(w http.ResponseWriter, message string, fault types.BaseMethodFault) {
	if message == "" {
		message = "injected by the test"
	}
	e := envelope{
		Env: "http://schemas.xmlsoap.org/soap/envelope/",
		XSD: "http://www.w3.org/2001/XMLSchema",
		XSI: "http://www.w3.org/2001/XMLSchema-instance",
	}
	e.Fault.Code = "ServerFaultCode"
	e.Fault.String = message
	e.Fault.Detail.Fault.fault = fault
	out, err := xml.Marshal(e)
	if err != nil {
		http.Error(w, fmt.Sprintf("encode the fault: %v", err), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/xml; charset=utf-8")
	w.WriteHeader(http.StatusInternalServerError)
	if _, err := w.Write(append([]byte(xml.Header), out...)); err != nil {
		log.Printf("sending a fault: %v", err)
	}
}
