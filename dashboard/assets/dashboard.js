// Keeps the pages live and the keyboard useful. Every page reads without it.
const root = document.documentElement;
const base = document.body.dataset.base;
const $ = (selector, from = document) => from.querySelector(selector);
const $$ = (selector, from = document) => [...from.querySelectorAll(selector)];

// ---- How numbers and times are written, as format.go does.

const count = (v) => Math.round(v).toLocaleString("en-US");

function duration(seconds) {
  if (seconds < 0) seconds = 0;
  if (seconds > 0 && seconds < 1) return `${Math.max(1, Math.floor(seconds * 1000))} ms`;
  const s = Math.floor(seconds);
  const two = (a, ua, b, ub) => (b ? `${a} ${ua} ${b} ${ub}` : `${a} ${ua}`);
  if (s < 60) return `${s} s`;
  if (s < 3600) return two(Math.floor(s / 60), "min", s % 60, "s");
  if (s < 86400) return two(Math.floor(s / 3600), "h", Math.floor((s % 3600) / 60), "min");
  return two(Math.floor(s / 86400), "d", Math.floor((s % 86400) / 3600), "h");
}

const formats = {
  int: count,
  rate: (v) => (v >= 100 ? count(v) : v.toFixed(v >= 10 ? 1 : 2)),
  seconds: duration,
  balance: (v) => (v ? "● books balance" : "■ books do not balance"),
};

const months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const pad = (n) => String(n).padStart(2, "0");
const clock = (t) => `${pad(t.getHours())}:${pad(t.getMinutes())}`;
const day = (t) => `${t.getDate()} ${months[t.getMonth()]}`;

const coarse = (seconds) => duration(seconds).split(" ").slice(0, 2).join(" ");

// relative writes a time as seen from now; the time itself is on hover.
function relative(el, t) {
  const ahead = (t - Date.now()) / 1000;
  if (el.dataset.form === "left") return ahead > 0 ? `${duration(ahead)} left` : "time is up";
  if (Math.abs(ahead) < 2) return "just now";
  return ahead > 0 ? `in ${coarse(ahead)}` : `${coarse(-ahead)} ago`;
}

// localTimes writes every time in the reader's own zone; UTC stays on hover.
function localTimes(from) {
  for (const el of $$("time[datetime]", from)) {
    const t = new Date(el.dateTime);
    if (Number.isNaN(t.getTime())) continue;
    if (el.dataset.form === "ago" || el.dataset.form === "left") {
      const said = relative(el, t);
      if (el.textContent !== said) el.textContent = said;
      el.title = `${day(t)} ${t.getFullYear()} ${clock(t)}:${pad(t.getSeconds())}, ${t.toISOString().slice(0, 19).replace("T", " ")} UTC`;
      continue;
    }
    const ago = Date.now() - t;
    let text = `${clock(t)}:${pad(t.getSeconds())}`;
    if (el.dataset.form === "minute") text = clock(t);
    else if (el.dataset.form === "day") text = day(t);
    else if (ago > 300 * 864e5) text = `${day(t)} ${t.getFullYear()}`;
    else if (Math.abs(ago) > 12 * 36e5) text = `${day(t)} ${clock(t)}`;
    el.textContent = text;
    el.title = `${t.toISOString().slice(0, 19).replace("T", " ")} UTC`;
  }
}

setInterval(() => {
  if (document.hidden) return;
  for (const el of $$("time[data-form=left], time[data-form=ago]")) {
    const said = relative(el, new Date(el.dateTime));
    if (el.textContent !== said) el.textContent = said;
  }
}, 1000);

// ---- Copying.

const canCopy = Boolean(navigator.clipboard);

function enhance(from) {
  localTimes(from);
  if (canCopy) for (const b of $$(".copy", from)) b.hidden = false;
}

function say(text) {
  $("#said").textContent = text;
}

document.addEventListener("click", async (e) => {
  const copy = e.target.closest?.("[data-copy]");
  if (copy) {
    try {
      const text = copy.hasAttribute("data-address") ? new URL(copy.dataset.copy, location.href).href : copy.dataset.copy;
      await navigator.clipboard.writeText(text);
      copy.classList.add("done");
      say("Copied");
      setTimeout(() => copy.classList.remove("done"), 1200);
    } catch {
      say("The browser did not allow copying");
    }
    return;
  }
  const waiting = e.target.closest?.("[data-waiting]");
  if (waiting) showWaiting(waiting);
});

// ---- Filters submit themselves; empty ones stay out of the address.

document.addEventListener("change", (e) => {
  if (e.target.matches("[data-submit]")) e.target.form.requestSubmit();
});
document.addEventListener("submit", (e) => {
  // Not form.method: a filter that is named "method" stands in its place.
  if (e.target.getAttribute("method")) return;
  for (const field of e.target.elements) if (field.name && !field.value) field.disabled = true;
});
addEventListener("pageshow", () => {
  for (const field of $$("form [disabled]")) field.disabled = false;
});

// ---- Light and dark, without leaving the page.

$(".theme")?.addEventListener("submit", (e) => {
  const value = e.submitter?.value;
  if (!value) return;
  e.preventDefault();
  root.dataset.theme = value;
  document.cookie = `gatehouse_theme=${value === "auto" ? "" : value}; path=/; max-age=${value === "auto" ? 0 : 31536000}; samesite=strict`;
  for (const b of $$(".theme button")) b.setAttribute("aria-pressed", String(b.value === value));
});

// ---- Keyboard: / searches, j and k move, enter opens, esc leaves.

let at = -1;
const rows = () => $$("[data-keys] tbody tr:not(.why, .group, .subgroup, .none), [data-cards] > [data-card]");

function move(by) {
  const all = rows();
  if (!all.length) return;
  all[at]?.classList.remove("at");
  at = Math.min(all.length - 1, Math.max(0, at + by));
  const row = all[at];
  row.classList.add("at");
  ($("td.grants input", row) ?? $("a", row) ?? row).focus?.({ preventScroll: true });
  row.scrollIntoView({ block: "nearest" });
}

// back leads to the list as it was filtered, else to the one of this API.
function back() {
  const link = $("[data-back]");
  if (!link) return;
  const list = new URL(link.href).pathname;
  if (document.referrer.startsWith(location.origin) && new URL(document.referrer).pathname === list) history.back();
  else link.click();
}

document.addEventListener("keydown", (e) => {
  if (e.ctrlKey || e.metaKey || e.altKey || e.isComposing) return;
  const typing = e.target.matches("input:not([type=checkbox]), select, textarea, [contenteditable]");
  if ($("dialog[open]")) return;
  if (e.key === "Escape") {
    if (typing) e.target.blur();
    else if (at >= 0) {
      rows()[at]?.classList.remove("at");
      document.activeElement?.blur();
      at = -1;
    } else back();
    return;
  }
  if (typing) return;
  if (e.key === "/") {
    e.preventDefault();
    $("#search")?.select();
    $("#search")?.focus();
  } else if (e.key === "j") move(1);
  else if (e.key === "k") move(-1);
  else if ((e.key === "a" || e.key === "d") && at >= 0) $(e.key === "a" ? "[data-approve]" : "[data-deny]", rows()[at])?.focus();
  else if (e.key === "Enter" && at >= 0 && !e.target.closest("a, button, summary")) $("a", rows()[at])?.click();
});

// ---- Charts: the pointer or the arrow keys read all lines at one time.

function readAt(svg, hit) {
  const out = $("[data-readout]", svg.closest(".chart"));
  if (!out) return;
  out.latest ??= [...out.cloneNode(true).childNodes];
  if (!hit) {
    out.replaceChildren(...out.latest);
    delete out.latest;
    svg.classList.remove("on");
    return;
  }
  const x = Number(hit.getAttribute("x")) + 0.5;
  $(".cursor", svg).setAttribute("d", `M${x} 0V100`);
  svg.classList.add("on");
  const t = new Date(hit.dataset.t);
  $("[data-when]", out).textContent = `${day(t)} ${clock(t)}${hit.dataset.v ? "" : " not observed"}`;
  const values = hit.dataset.v?.split(" ") ?? ["–", "–", "–"];
  for (const el of $$("[data-v]", out)) el.textContent = values[Number(el.dataset.v)];
}

document.addEventListener("pointermove", (e) => {
  const hit = e.target.closest?.(".hits rect");
  for (const svg of $$(".series.on")) if (!hit || !svg.contains(hit)) readAt(svg, null);
  if (hit) readAt(hit.ownerSVGElement, hit);
});
document.addEventListener("keydown", (e) => {
  if (!e.target.matches?.(".series") || !["ArrowLeft", "ArrowRight"].includes(e.key)) return;
  e.preventDefault();
  const svg = e.target;
  const hits = $$(".hits rect", svg);
  const n = hits.length;
  svg.cursorAt = Math.min(n - 1, Math.max(0, (svg.cursorAt ?? n) + (e.key === "ArrowLeft" ? -1 : 1)));
  readAt(svg, hits[svg.cursorAt]);
  say($("title", hits[svg.cursorAt]).textContent);
});
document.addEventListener("focusout", (e) => {
  if (e.target.matches?.(".series.on")) readAt(e.target, null);
});

// ---- Live: numbers are patched where they stand; tables and charts come from
// the page itself, read again. New rows wait behind "n new".

const link = $("#link");

function connection(state, word, hint) {
  if (!link || link.dataset.state === state) return;
  link.dataset.state = state;
  $(".word", link).textContent = word;
  link.title = hint;
}

function patchNumbers(numbers) {
  if (numbers.unavailable?.includes("inventory")) delete numbers.endpoints;
  for (const el of $$("[data-live]")) {
    const [path, format] = el.dataset.live.split(":");
    const v = path.split(".").reduce((o, k) => o?.[k], numbers);
    if (v === undefined || v === null) continue;
    const text = formats[format](v);
    if (el.textContent === text) continue;
    el.textContent = text;
    if (format === "balance") el.className = v ? "good" : "bad";
  }
}

const kept = new Map(); // the rows that wait, by table

function mergeRows(old, fresh) {
  const body = $("tbody", old);
  const there = new Map($$("tr[data-key]", body).map((tr) => [tr.dataset.key, tr]));
  const rows = $$("tbody tr", fresh);
  let news = 0;
  for (const tr of rows) {
    const mine = there.get(tr.dataset.key);
    if (!mine) {
      news++;
      continue;
    }
    [...tr.cells].forEach((cell, i) => {
      const was = mine.cells[i];
      if (was && !was.isEqualNode(cell) && !was.contains(document.activeElement)) was.replaceChildren(...cell.childNodes);
    });
  }
  if (there.size === 0) {
    replaceRows(old, rows);
    return;
  }
  const button = $(`[data-waiting="${old.id}"]`);
  if (!button) return;
  if (news > 0) kept.set(old.id, rows.map((tr) => tr.cloneNode(true)));
  button.hidden = news === 0;
  const text = `${news} new`;
  if (button.textContent !== text) button.textContent = text;
}

function replaceRows(table, rows) {
  const body = $("tbody", table);
  const before = new Set($$("tr[data-key]", body).map((tr) => tr.dataset.key));
  for (const tr of rows) if (tr.dataset.key && !before.has(tr.dataset.key)) tr.classList.add("fresh");
  body.replaceChildren(...rows);
  at = -1;
  enhance(table);
}

function showWaiting(button) {
  const rows = kept.get(button.dataset.waiting);
  const table = document.getElementById(button.dataset.waiting);
  button.hidden = true;
  if (rows && table) replaceRows(table, rows);
  kept.delete(button.dataset.waiting);
}

let reading = false;
let due = 0;

// refresh reads this page again and puts its parts in the place of the old.
async function refresh() {
  if (reading || document.hidden || !$("[data-refresh]")) return;
  reading = true;
  due = Date.now() + 10_000;
  try {
    const answer = await fetch(location.href, { headers: { accept: "text/html" }, credentials: "same-origin" });
    if (answer.status === 401) location.reload();
    if (!answer.ok) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    localTimes(fresh);
    for (const b of $$(".copy", fresh)) b.hidden = !canCopy;
    staleCards(fresh);
    for (const was of $$("[data-refresh]")) {
      const now = fresh.getElementById(was.id);
      if (!now) continue;
      if (was.dataset.going && !now.dataset.going) say(now.dataset.said);
      // What the reader has opened stays open, and what they have typed stays theirs.
      const open = $$("details", was);
      const then = $$("details", now);
      if (open.length === then.length) then.forEach((d, i) => (d.open = open[i].open));
      if (was.isEqualNode(now) || edited(was)) continue;
      if (was.matches("[data-rows]") && now.matches("[data-rows]")) {
        mergeRows(was, now);
        continue;
      }
      // Not under the reader's pointer, focus or selection.
      if (was.contains(document.activeElement) || (was.matches("[data-hold]") && was.matches(":hover"))) continue;
      const chosen = getSelection();
      if (chosen && !chosen.isCollapsed && chosen.containsNode(was, true)) continue;
      was.replaceWith(document.importNode(now, true));
    }
  } catch {
    // The stream's own state says that the connection is lost.
  } finally {
    reading = false;
  }
}

const edited = (part) => $$("input:not([type=hidden]), textarea", part).some((f) => (f.type === "checkbox" ? f.checked !== f.defaultChecked : f.value !== f.defaultValue));

// staleCards shuts the cards on which somebody else has decided meanwhile, and tells
// of new ones; neither moves what the reader is looking at.
function staleCards(fresh) {
  const list = $("[data-cards]");
  if (!list && !$("[data-reload]")) return;
  const now = new Set($$("[data-card]", fresh).map((c) => c.id));
  const mine = list ? $$("[data-card]", list) : [];
  for (const c of mine) {
    if (now.has(c.id)) continue;
    for (const b of $$("button[name=do]", c)) b.disabled = true;
    $(".stale", c).hidden = false;
    c.classList.add("gone");
  }
  const known = new Set(mine.map((c) => c.id));
  const news = [...now].filter((id) => !known.has(id)).length;
  const button = $("[data-reload]");
  if (button) {
    button.hidden = news === 0;
    button.textContent = `${news} new`;
  }
}
document.addEventListener("click", (e) => {
  if (e.target.closest?.("[data-reload]")) location.reload();
});

const soon = () => {
  due = Math.min(due, Date.now() + 800);
};

// What is lent has a stream of its own; a browser has few connections for each site.
const lending = document.body.dataset.events;
const liveHint = lending ? "This page changes as requests and grants do" : "Numbers on this page change as calls come";

function connect() {
  const stream = new EventSource(lending ?? `${base}/api/v1/events`);
  stream.onopen = () => {
    connection("live", "live", liveHint);
    soon();
  };
  stream.onerror = () => {
    if (stream.readyState === EventSource.CLOSED) {
      connection("lost", "not live", "The server refused the stream; trying again in 10 seconds");
      setTimeout(connect, 10_000);
    } else connection("lost", "reconnecting", `No connection since ${new Date().toLocaleTimeString()}; numbers are of then`);
  };
  stream.addEventListener("overview", (e) => {
    connection("live", "live", liveHint);
    patchNumbers(JSON.parse(e.data));
  });
  for (const name of ["endpoint", "health", "resync", "change"]) stream.addEventListener(name, soon);
  addEventListener("pagehide", () => stream.close(), { once: true });
}

// ---- The policy lab decides while one types; the address keeps up.

const lab = $("form[data-lab]");

function startLab() {
  let waiting = 0;
  let asked = null;
  // An address may be too short for what is in the form. Not form.method: the
  // field of that name stands in its place.
  lab.setAttribute("method", "post");
  const decide = async () => {
    asked?.abort();
    asked = new AbortController();
    try {
      const answer = await fetch(`${lab.dataset.lab}/decide`, { method: "POST", body: new URLSearchParams(new FormData(lab)), signal: asked.signal, credentials: "same-origin" });
      if (answer.status === 401) location.reload();
      if (!answer.ok) {
        say(`The server answered ${answer.status}`);
        return;
      }
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      for (const part of $$("[data-part]", fresh)) {
        const was = document.getElementById(part.id);
        if (!was || was.isEqualNode(part)) continue;
        const open = $$("details", was).map((d) => d.open);
        const now = document.importNode(part, true);
        $$("details", now).forEach((d, i) => (d.open = open[i] ?? d.open));
        was.replaceWith(now);
        enhance(now);
      }
      const to = $("[data-link]", fresh)?.dataset.link;
      if (to) history.replaceState(null, "", to);
      for (const a of $$("nav.chips [aria-current]")) a.removeAttribute("aria-current");
    } catch (e) {
      if (e.name !== "AbortError") say("No connection: what is shown is of before");
    }
  };
  const soonDecide = () => {
    clearTimeout(waiting);
    waiting = setTimeout(decide, 250);
  };
  lab.addEventListener("input", (e) => {
    if (e.target.name !== "case" && e.target.name !== "pick") soonDecide();
  });
  lab.addEventListener("change", (e) => {
    if (e.target.matches("[data-pick]")) lab.requestSubmit();
  });
  lab.addEventListener("submit", (e) => {
    if (e.submitter?.name || $("[data-pick]", lab)?.value !== ($("[name=picked]", lab)?.value ?? undefined)) return;
    e.preventDefault();
    decide();
  });
}

// ---- The live tail: rows come at the top while the reader looks there, and
// wait otherwise.

const tail = $("[data-tail]");

function startTail() {
  const most = 300;
  const body = $("tbody", tail);
  const pause = $("#tail-pause");
  const heldButton = $("#tail-held");
  const state = $("#tail-state");
  let held = [];
  let heldCount = 0;
  let skipped = 0;
  let paused = false;
  const reads = () => paused || at >= 0 || $("#tail-call").open || scrollY > 160;
  const tell = (word) => {
    state.textContent = `${word}${skipped ? `; ${count(skipped)} not shown, they came faster than can be read` : ""}`;
  };
  const rowsOf = (html) => {
    const t = document.createElement("template");
    t.innerHTML = html;
    enhance(t.content);
    return [...t.content.children];
  };
  const put = (rows) => {
    const known = new Set([...body.rows].map((tr) => tr.dataset.key));
    body.prepend(...rows.filter((tr) => !known.has(tr.dataset.key)));
    while (body.rows.length > most) body.lastElementChild.remove();
    $("#tail-empty").hidden = body.rows.length > 0;
  };
  const release = () => {
    for (const tr of held) tr.classList.add("fresh");
    put(held);
    held = [];
    heldCount = 0;
    heldButton.hidden = true;
  };
  const stream = new EventSource(tail.dataset.tail);
  stream.onopen = () => tell(paused ? "paused" : "following");
  stream.onerror = () => {
    tell(stream.readyState === EventSource.CLOSED ? "the server refused the stream; reload the page" : "reconnecting");
  };
  stream.addEventListener("skipped", (e) => {
    skipped += Number(e.data);
    tell(paused ? "paused" : "following");
  });
  stream.addEventListener("rows", (e) => {
    const rows = rowsOf(e.data);
    if (!reads()) {
      if (held.length) release();
      put(rows);
      return;
    }
    heldCount += rows.length;
    held = [...rows, ...held].slice(0, most);
    heldButton.hidden = false;
    heldButton.textContent = `${count(heldCount)} new`;
  });
  heldButton.addEventListener("click", () => {
    release();
    scrollTo({ top: 0 });
  });
  pause.hidden = false;
  pause.addEventListener("click", () => {
    paused = !paused;
    pause.setAttribute("aria-pressed", String(paused));
    pause.textContent = paused ? "Resume" : "Pause";
    tell(paused ? "paused" : "following");
    if (!paused) release();
  });
  const dialog = $("#tail-call");
  body.addEventListener("click", async (e) => {
    const a = e.target.closest("a");
    if (!a || e.ctrlKey || e.metaKey || e.shiftKey) return;
    e.preventDefault();
    try {
      const answer = await fetch(a.href, { headers: { accept: "text/html" }, credentials: "same-origin" });
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      const call = $("#call", fresh) ?? $("main > *", fresh);
      $("div", dialog).replaceChildren(document.importNode(call, true));
      enhance(dialog);
      dialog.showModal();
    } catch {
      say("No connection: the call cannot be shown");
    }
  });
  addEventListener("pagehide", () => stream.close(), { once: true });
}

// ---- Choosing: a box of an account, region or API stands for all below it.

function standFor(box) {
  const form = box.closest("[data-choose]");
  if (!form || box.name !== "of") return;
  for (const other of $$("input[name=of]", form)) {
    if (!other.value.startsWith(`${box.value}/`)) continue;
    other.checked = box.checked;
    other.indeterminate = false;
  }
  for (const whole of $$("input[name=of]", form)) {
    const parts = $$("input[name=of]", form).filter((o) => o.value.startsWith(`${whole.value}/`) && o.value.split("/").length === 4);
    if (!parts.length) continue;
    const n = parts.filter((o) => o.checked).length;
    whole.checked = n === parts.length;
    whole.indeterminate = n > 0 && n < parts.length;
  }
}
document.addEventListener("change", (e) => {
  if (e.target.matches("[data-choose] input[name=of]")) standFor(e.target);
});
document.addEventListener("submit", (e) => {
  if (!e.target.matches("[data-choose]")) return;
  // What a box above stands for need not be said again; that keeps addresses short.
  const boxes = $$("input[name=of]:checked", e.target);
  const wholes = new Set(boxes.map((b) => b.value));
  for (const b of boxes) {
    const parts = b.value.split("/");
    if (parts.some((_, i) => i > 0 && wholes.has(parts.slice(0, i).join("/")))) b.disabled = true;
  }
});
document.addEventListener("keydown", (e) => {
  if (e.key !== "x" || at < 0 || e.ctrlKey || e.metaKey || e.altKey || e.target.matches("input:not([type=checkbox]), select, textarea")) return;
  $(".pick input", rows()[at])?.click();
});

// ---- A run is followed until it has ended.

const follows = $("[data-follow]");

function startFollow() {
  const stream = new EventSource(follows.dataset.follow);
  stream.addEventListener("part", (e) => {
    const t = document.createElement("template");
    t.innerHTML = e.data;
    enhance(t.content);
    follows.replaceChildren(t.content);
  });
  stream.addEventListener("end", (e) => {
    stream.close();
    say(`The run has ended: ${e.data}`);
  });
  stream.onerror = () => {
    if (stream.readyState === EventSource.CLOSED) say("The server refused the stream; reload the page");
  };
  addEventListener("pagehide", () => stream.close(), { once: true });
}

// ---- Lending: what would become of a request while one types it, what is chosen in
// the catalog, and the text for people as they will see it.

const ask = $("form[data-try]");

function startAsk() {
  let waiting = 0;
  let asked = null;
  const attempt = async () => {
    asked?.abort();
    asked = new AbortController();
    const body = new URLSearchParams(new FormData(ask));
    body.set("do", "try");
    try {
      const answer = await fetch(ask.action, { method: "POST", body, signal: asked.signal, credentials: "same-origin" });
      if (answer.status === 401) location.reload();
      const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
      const now = fresh.getElementById("happens");
      const was = $("#happens");
      if (!now || was.isEqualNode(now)) return;
      const part = document.importNode(now, true);
      enhance(part);
      // The region that is announced stays; its content is what changes.
      was.replaceChildren(...part.childNodes);
    } catch (e) {
      if (e.name !== "AbortError") say("No connection: what is shown is of before");
    }
  };
  ask.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(attempt, 350);
  });
  ask.addEventListener("submit", (e) => {
    if (e.submitter?.value !== "try") return;
    e.preventDefault();
    attempt();
  });
}

function countChosen() {
  const told = $("[data-chosen]");
  if (!told) return;
  const chosen = $$("input[name=item]:checked").length;
  told.textContent = chosen ? `${chosen} chosen` : "choose permissions below; one request is for one flow's worth";
}
document.addEventListener("change", (e) => {
  if (e.target.matches("input[name=item]")) countChosen();
});
document.addEventListener("input", (e) => {
  const most = Number(e.target.dataset?.most);
  if (!most) return;
  // Characters as people count them, not as UTF-16 does; the server counts alike.
  const n = [...e.target.value.trim()].length;
  const told = $(`[data-count-of="${e.target.name}"]`);
  if (told) {
    told.textContent = n;
    told.classList.toggle("bad", n > most);
  }
  const mirror = $(`[data-mirror="${e.target.name}"]`);
  if (mirror) mirror.textContent = e.target.value.trim();
});

// On a narrow screen the sections scroll; the one that is shown is in view.
const section = $(".rail nav [aria-current]");
if (section) $(".rail nav").scrollLeft = Math.max(0, section.offsetLeft - 64);

enhance(document);
if (ask) startAsk();
countChosen();
if (follows) startFollow();
for (const box of $$("[data-choose] input[name=of]:checked")) standFor(box);
if (lab) startLab();
if (tail) startTail();
if (link) {
  due = Date.now() + 10_000;
  connect();
  setInterval(() => {
    if (Date.now() >= due) refresh();
  }, 400);
  addEventListener("pageshow", (e) => {
    if (e.persisted) location.reload();
  });
}
