package conformance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/tocsin-ssf/tocsin/set/delivery/guard"
)

// MaxAnswerBytes bounds the body of an answer that is read.
const MaxAnswerBytes = 8 << 20

// Ask is one request of a suite to its peer.
type Ask struct {
	Method string // default: GET
	URL    string
	Header http.Header // also what is sent twice or malformed on purpose
	Body   []byte
}

// Answer is what came back.
type Answer struct {
	Status   int
	Header   http.Header
	Body     []byte
	Took     time.Duration
	Exchange Exchange // of it, as evidence
}

// Do makes a request and records the exchange. client says where it may go and how long
// it may take; what it follows and what it believes is the client's.
//
// An error says why there is no whole answer. A body beyond [MaxAnswerBytes] is one.
func (t *T) Do(ctx context.Context, client *http.Client, ask Ask) (Answer, error) {
	answer, err := ask.Send(ctx, client, t.mask)
	t.Record(answer.Exchange)
	return answer, err
}

// Send makes a request that no check shows.
func (a Ask) Send(ctx context.Context, client *http.Client, mask *Mask) (Answer, error) {
	if a.Method == "" {
		a.Method = http.MethodGet
	}
	e := Exchange{Direction: Sent, At: time.Now(), Request: mask.RequestMessage(a.Method, a.URL, a.Header, a.Body)}
	answer, err := a.do(ctx, client)
	answer.Took = time.Since(e.At)
	e.Took = Seconds(answer.Took)
	if answer.Status != 0 {
		e.Response = mask.ResponseMessage(answer.Status, answer.Header, answer.Body, err != nil)
	}
	if err != nil {
		e.Error, _ = cut(mask.Text(guard.Cause(err).Error()), maxEvidenceLine)
		err = fmt.Errorf("%s %s: %s", a.Method, shortURL(a.URL), e.Error)
	}
	answer.Exchange = e
	return answer, err
}

func (a Ask) do(ctx context.Context, client *http.Client) (Answer, error) {
	var body io.Reader
	if a.Body != nil {
		body = bytes.NewReader(a.Body)
	}
	req, err := http.NewRequestWithContext(ctx, a.Method, a.URL, body)
	if err != nil {
		return Answer{}, err
	}
	if a.Header != nil {
		req.Header = a.Header.Clone()
	}
	resp, err := client.Do(req)
	if err != nil {
		return Answer{}, err
	}
	defer resp.Body.Close() // read as far as it is read
	answer := Answer{Status: resp.StatusCode, Header: resp.Header}
	answer.Body, err = guard.ReadBody(resp.Body, MaxAnswerBytes)
	if errors.Is(err, guard.ErrTooLarge) {
		return answer, fmt.Errorf("the answer has more than %d bytes", MaxAnswerBytes)
	}
	return answer, err
}

// shortURL is a URL without its query, for texts.
func shortURL(raw string) string {
	if u, err := url.Parse(raw); err == nil {
		u.RawQuery, u.Fragment, u.User = "", "", nil
		raw = u.String()
	}
	raw, _ = cut(raw, 200)
	return raw
}
