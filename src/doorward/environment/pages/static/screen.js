// What the person sees: one state at a time, said aloud once. All text that came from elsewhere is set as text.

import { announce, keyPhrase as phraseElement } from "doorward/doorward.js";

export class Screen {
  constructor(root, { phraseOf }) {
    this.root = root;
    this.phraseOf = phraseOf;
    this.title = document.title;
    this.phraseShown = null;
    this.retry = null;
    this.onPress("retry", () => this.retry?.());
  }

  show(state, { account, device, code, thumbprint } = {}) {
    if (account) this.fill("account", account);
    for (const line of this.root.querySelectorAll("[data-account-line]")) line.hidden &&= !account;
    if (device) this.fill("device", device.label);
    if (code) this.fill("code", code);
    if (thumbprint) this.showPhrase(thumbprint);
    this.connection(true);
    if (this.root.dataset.state === state) return;
    this.root.dataset.state = state;
    for (const section of this.root.querySelectorAll("[data-screen]")) {
      section.hidden = section.dataset.screen !== state;
    }
    const heading = this.root.querySelector(`[data-screen="${state}"] h1`).textContent.trim();
    document.title = `${heading} · ${this.title}`;
    announce(heading);
  }

  // Whether the machine can be heard at the moment, while the screen stays.
  connection(isUp) {
    for (const line of this.root.querySelectorAll("[data-lost]")) line.hidden = isUp;
  }

  fill(name, text) {
    for (const place of this.root.querySelectorAll(`[data-fill="${name}"]`)) place.textContent = text;
  }

  async showPhrase(thumbprint) {
    if (this.phraseShown === thumbprint) return;
    this.phraseShown = thumbprint;
    const phrase = (await this.phraseOf(thumbprint)).join(" ");
    for (const place of this.root.querySelectorAll("[data-phrase]")) {
      place.replaceChildren(phraseElement(phrase, "Key phrase of this device"));
    }
  }

  onPress(name, act) {
    for (const button of this.root.querySelectorAll(`[data-press="${name}"]`)) button.addEventListener("click", act);
  }

  retryPressed() {
    return new Promise((resolve) => {
      this.retry = resolve;
    });
  }
}
