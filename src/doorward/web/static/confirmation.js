// Asked once more before what cannot be taken back. The page includes the component `confirmation`.

const dialog = document.querySelector("dialog[data-confirmation]");

// Calls `act` once the person has confirmed. A question while another one is open is refused: the answer to the one
// that is read must not become the answer to one that is not.
export function confirmed({ title, text, phrase = null, action, kind = "danger" }, act) {
  if (dialog.open) return false;
  dialog.querySelector("[data-dialog-title]").textContent = title;
  dialog.querySelector("[data-dialog-text]").textContent = text;
  const shown = dialog.querySelector("[data-dialog-phrase]");
  shown.replaceChildren(...(phrase ? [phrase] : []));
  shown.hidden = !phrase;
  const yes = dialog.querySelector("[data-dialog-yes]");
  yes.textContent = action;
  yes.className = `button ${kind}`;
  dialog.returnValue = "";
  dialog.onclose = () => {
    if (dialog.returnValue === "yes") act();
  };
  dialog.showModal();
  return true;
}

for (const button of dialog.querySelectorAll("button")) {
  button.addEventListener("click", () => dialog.close(button.value));
}
