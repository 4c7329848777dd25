"use strict";
const live = document.getElementById("live");
async function renew() {
  try {
    const answer = await fetch("/", { cache: "no-store" });
    if (!answer.ok) throw new Error("it answers " + answer.status);
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    document.querySelector("main").replaceWith(page.querySelector("main"));
    live.textContent = "Updated live, " + new Date().toLocaleTimeString();
  } catch (error) {
    live.textContent = "Not updated: the gateway cannot be reached (" + error.message + ")";
  }
  setTimeout(renew, 1000);
}
live.textContent = "Updated live";
setTimeout(renew, 1000);
