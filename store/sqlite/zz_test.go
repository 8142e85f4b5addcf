package sqlite
import ("testing";"time")
func TestZZ(t *testing.T){
 s,_:=populated(t,50000)
 for _,q:=range []string{
  `select count(*) from endpoints e where e.method||' '||e.route like '%things4242%'`,
  `select count(*) from endpoints e where e.route like '%things4242%'`,
  `select count(*) from endpoints e where instr(e.route,'things4242')`,
  `select count(*) from endpoints e where instr(lower(e.route),'things4242')`,
  `select count(*) from endpoints e where instr(lower(e.method||' '||e.route),'things4242')`,
  `select count(*) from endpoints e where e.route glob '*things4242*'`,
  `select count(*) from endpoints e where e.stage_id in (select id from stages where api_id like '%things4242%' or api_name like '%things4242%') or instr(lower(e.method||' '||e.route),'things4242')`,
  `select count(*) from endpoints e not indexed where e.stage_id in (select id from stages where api_id like '%things4242%' or api_name like '%things4242%') or e.route like '%things4242%'`,
  `select count(*) from endpoints e`,
  `select count(*) from endpoints e where calls>=0`,
 }{
  best:=time.Hour
  for range 5 { b:=time.Now(); var n int; if err:=s.read.QueryRow(q).Scan(&n);err!=nil{t.Fatal(err)}; best=min(best,time.Since(b))}
  t.Log(best,q)
 }
}
