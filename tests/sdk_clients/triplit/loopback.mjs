// Preloaded by `node --import`: Triplit's server has no option for its address and would listen on every interface.
import net from "node:net";

const listen = net.Server.prototype.listen;
net.Server.prototype.listen = function (port, ...rest) {
  const done = rest.find((each) => typeof each === "function");
  return listen.call(this, { port, host: "127.0.0.1" }, done);
};
