// Makes pages better that work without it. No page needs it.
"use strict";

// Times are served in UTC; the browser's own stand beside, on hover.
for (const t of document.querySelectorAll("time[datetime]")) {
  t.title = new Date(t.dateTime).toLocaleString();
}
