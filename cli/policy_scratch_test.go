package cli
import ("testing";"os";"context")
func TestScratch(t *testing.T){ s:=&Streams{In:os.Stdin,Out:os.Stdout,Err:os.Stderr}; c:=newPolicy(s); c.SetArgs(os.Args[indexOf():]); c.SetContext(context.Background()); if err:=c.Execute(); err!=nil {t.Log(err)}}
func indexOf() int { for i,a:=range os.Args { if a=="--" {return i+1} }; return len(os.Args)}
