package identity

import (
	"html/template"
	"net/http"
)

var plainPage = template.Must(template.New("sign-in").Parse(`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Sign in · Gatehouse</title></head>
<body><main><h1>Sign in to Gatehouse</h1>
{{if .Wrong}}<p role="alert">That token is not right.</p>{{end}}
<p>Open the admin link that Gatehouse printed when it started, or paste its token here.</p>
<form method="post" action="/login"><input type="hidden" name="next" value="{{.Next}}">
<label for="token">Admin token</label> <input id="token" name="token" type="password" autocomplete="current-password" required>
<button>Sign in</button></form></main></body></html>
`))

func plainSignIn(w http.ResponseWriter, _ *http.Request, p SignInPage) {
	_ = plainPage.Execute(w, p)
}
