// Makes pages better that work without it. No page needs it.
"use strict";

// Times are served in UTC; the browser's own stand beside, on hover.
for (const t of document.querySelectorAll("time[datetime]")) {
  t.title = new Date(t.dateTime).toLocaleString();
}

// On a phone the sections stand in a row: the one that is shown is scrolled to.
const here = document.querySelector("nav a[aria-current]");
if (here) here.closest("nav").scrollLeft = here.offsetLeft - 16;

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
    if (live.contains(document.activeElement)) { // somebody is reading there by keyboard
      say("❚❚ held while you are in it");
      return;
    }
    const open = [...live.querySelectorAll("details[open]")].map((d) => d.closest("[id]").id);
    live.innerHTML = e.data;
    for (const id of open) document.querySelector(`#${id} details`)?.setAttribute("open", "");
    for (const t of live.querySelectorAll("time[datetime]")) t.title = new Date(t.dateTime).toLocaleString();
    say("● live");
  });
}
