const at = (id) => document.getElementById(id);

function tick() {
  const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/clock`);
  socket.addEventListener("open", () => { at("clock-state").textContent = "Connected through the tunnel."; });
  socket.addEventListener("message", (event) => { at("clock").textContent = event.data; });
  socket.addEventListener("close", () => {
    at("clock-state").textContent = "The connection was closed. Reload the page to come back, if you are still let in.";
  });
}

at("upload").addEventListener("submit", (event) => {
  event.preventDefault();
  const file = at("file").files[0];
  const button = event.target.querySelector("button");
  const request = new XMLHttpRequest();
  const state = at("upload-state");
  at("progress").hidden = false;
  button.disabled = true;
  request.upload.addEventListener("progress", (progress) => {
    at("progress").value = progress.lengthComputable ? progress.loaded / progress.total : 0;
    state.textContent = `${progress.loaded.toLocaleString()} bytes sent`;
  });
  request.addEventListener("loadend", () => {
    button.disabled = false;
    if (request.status !== 200) {
      state.textContent = "The upload did not arrive whole. Try it again.";
      return;
    }
    const { bytes, sha256 } = JSON.parse(request.responseText);
    at("progress").value = 1;
    state.textContent = `The service received ${bytes.toLocaleString()} bytes, SHA-256 ${sha256}.`;
  });
  request.open("POST", "/upload");
  request.send(file);
});

function claims(token) {
  const part = token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
  return JSON.parse(atob(part));
}

async function visitor() {
  const list = at("visitor");
  const answer = await fetch("/visitor");
  if (!answer.ok) return;
  const { assertion, forwarded_for: address } = await answer.json();
  const rows = assertion
    ? Object.entries({ Account: claims(assertion).sub, "Device key": claims(assertion).jkt, Address: address })
    : [["Nothing", "No one stands in front of this service: it was opened without Doorward."]];
  list.replaceChildren(...rows.flatMap(([name, value]) => {
    const term = document.createElement("dt");
    const detail = document.createElement("dd");
    term.textContent = name;
    detail.textContent = value ?? "unknown";
    return [term, detail];
  }));
}

tick();
visitor();
