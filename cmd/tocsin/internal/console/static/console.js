// Makes pages better that work without it. No page needs it.
"use strict";

// Times are served in UTC; the browser's own stand beside, on hover.
for (const t of document.querySelectorAll("time[datetime]")) {
  t.title = new Date(t.dateTime).toLocaleString();
}

// Live figures: the server sends the part of the page anew. Without this the page has a
// link that does the same.
const live = document.getElementById("live");
if (live && window.EventSource) {
  const state = document.getElementById("live-state");
  const say = (text) => { state.textContent = text; state.hidden = false; };
  const events = new EventSource(live.dataset.live);
  events.onopen = () => say("● live");
  events.onerror = () => say(events.readyState === EventSource.CLOSED ? "○ not live: load the page again" : "○ connecting …");
  events.addEventListener("ended", () => { // the session: the page of the sign-in tells why
    events.close();
    location.reload();
  });
  events.addEventListener("show", (e) => {
    if (live.contains(document.activeElement)) return; // somebody is reading there by keyboard
    const open = [...live.querySelectorAll("details[open]")].map((d) => d.closest("[id]").id);
    live.innerHTML = e.data;
    for (const id of open) document.querySelector(`#${id} details`)?.setAttribute("open", "");
    for (const t of live.querySelectorAll("time[datetime]")) t.title = new Date(t.dateTime).toLocaleString();
    say("● live");
  });
}
