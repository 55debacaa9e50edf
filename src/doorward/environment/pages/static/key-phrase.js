// Six words of 2,048: the first 66 bits of SHA-256 of the thumbprint. This browser works them out from its own key,
// so the words on this screen cannot be chosen by whoever served a message.

import { sha256 } from "doorward/encoding.js";

export const WORD_COUNT = 6;
const BITS_PER_WORD = 11n;

export async function keyPhrase(thumbprint, words) {
  if (words.length !== 2048) throw new Error("the word list must hold 2,048 words");
  const digest = await sha256(thumbprint);
  let number = 0n;
  for (const byte of digest) number = (number << 8n) | BigInt(byte);
  const phrase = [];
  for (let index = 1n; index <= BigInt(WORD_COUNT); index += 1n) {
    phrase.push(words[Number((number >> (256n - BITS_PER_WORD * index)) & 2047n)]);
  }
  return phrase;
}

export async function fetchWords(url) {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`the word list answered ${response.status}`);
  return (await response.text()).trim().split("\n");
}
