// What this browser calls itself to the owner. It is a hint beside the key phrase, never a proof.

import { deviceId } from "doorward/device-key.js";

export async function describeDevice(agent = navigator.userAgent, data = navigator.userAgentData) {
  const os = systemOf(agent);
  return { id: await deviceId(), label: `${browserOf(agent)} on ${os}`, type: typeOf(agent, data), os };
}

function browserOf(agent) {
  if (/Edg\//.test(agent)) return "Edge";
  if (/OPR\//.test(agent)) return "Opera";
  if (/Firefox\/|FxiOS\//.test(agent)) return "Firefox";
  if (/Chrome\/|CriOS\//.test(agent)) return "Chrome";
  if (/Safari\//.test(agent)) return "Safari";
  return "Browser";
}

function systemOf(agent) {
  if (/iPhone|iPad|iPod/.test(agent)) return "iOS";
  if (/Android/.test(agent)) return "Android";
  if (/Mac OS X|Macintosh/.test(agent)) return "macOS";
  if (/Windows NT/.test(agent)) return "Windows";
  if (/CrOS/.test(agent)) return "ChromeOS";
  if (/Linux/.test(agent)) return "Linux";
  return "an unknown system";
}

function typeOf(agent, data) {
  if (/iPad|Tablet/i.test(agent)) return "tablet";
  if (data?.mobile || /iPhone|Android.+Mobile|Mobile/i.test(agent)) return "mobile";
  return "desktop";
}
