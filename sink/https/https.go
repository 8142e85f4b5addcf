package https

import (
	"errors"
	"fmt"
	"net/url"

	"github.com/gatehouse-project/gatehouse/sink/post"
)

// Format is the form of the payload.
type Format string

const (
	// Native is a JSON array of transactions.
	Native Format = "native"
	// Cequence has the fields and markers of Cequence's API Gateway integration.
	Cequence Format = "cequence"
)

// Config is a sink as its URL says; the rest of post.Config is the caller's to
// fill in.
type Config struct {
	post.Config

	Format Format
	// Auth says whether the sink gets a token: Default if the URL does not say.
	Auth Auth
}

// Auth says how a sink proves itself.
type Auth string

const (
	// Default uses the settings' credentials if there are any.
	Default Auth = ""
	// OAuth2 needs the settings' credentials.
	OAuth2 Auth = "oauth2"
	// None sends no token.
	None Auth = "none"
)

// Parse reads https://host[:port]/path?key=value, or http:// on this machine. The
// keys are format, auth and post.Options. A key that is unknown, given twice or
// empty is an error, and so are credentials in the URL, which would end up in
// process lists and logs.
func Parse(raw string) (Config, error) {
	c := Config{Format: Native}
	c.Kind = "https"
	u, err := post.Parse(c.Kind, raw, func(key, value string) error {
		switch key {
		case "format":
			c.Format = Format(value)
			if c.Format != Native && c.Format != Cequence {
				return fmt.Errorf("%q is neither native nor cequence", value)
			}
			return nil
		case "auth":
			c.Auth = Auth(value)
			if c.Auth != OAuth2 && c.Auth != None {
				return fmt.Errorf("%q is neither oauth2 nor none", value)
			}
			return nil
		}
		known, err := c.SetOption(key, value)
		if !known {
			return errors.New("unknown (known are format, auth, " + post.Options + "); a key that the endpoint asks for belongs into https_headers")
		}
		return err
	})
	if err != nil {
		return Config{}, err
	}
	c.URL = withPath(u)
	return c, nil
}

// withPath makes the path of a bare host explicit, so that the sink's name is
// the same for https://host and https://host/.
func withPath(u *url.URL) *url.URL {
	if u.Path == "" {
		u.Path = "/"
	}
	return u
}

// Open makes the sink. It opens no connection.
func Open(c Config) (*post.Sink, error) {
	if c.Form = nativeForm(); c.Format == Cequence {
		c.Form = cequenceForm()
	}
	if c.Auth == OAuth2 && c.Credentials == nil {
		return nil, errors.New("https sink: auth=oauth2 needs https_token_url, https_client_id and https_client_secret")
	}
	if c.Auth == None {
		c.Credentials = nil
	}
	return post.Open(c.Config)
}
