// Prints what xterm.js shows for a recorded stream, as JSON:
//
//   node golden.js COLSxROWS CHECKPOINTS < STREAM   the states at evenly spaced offsets of a stream
//   node golden.js --cases < CASES                  the last states of many short streams, given by name
//   node golden.js --lines                          for each line of stdin, a stream as a JSON string, one line with its
//                                                   last state, or null if xterm.js throws an error
'use strict';
const { Terminal } = require('@xterm/headless');
const { Unicode11Addon } = require('@xterm/addon-unicode11');
const fs = require('fs');
const readline = require('readline');

const scrollback = 50;

function open(cols, rows) {
  const t = new Terminal({ cols, rows, scrollback, allowProposedApi: true, logLevel: 'off', windowOptions: { pushTitle: true, popTitle: true } });
  t.loadAddon(new Unicode11Addon());
  t.unicode.activeVersion = '11';
  t.onTitleChange((title) => { t.lastTitle = title; });
  return t;
}

const write = (t, data) => new Promise((done) => t.write(data, done));

// color returns the name of a colour: empty for the default, a number, or #rrggbb.
function color(value, rgb, standard) {
  if (standard) return '';
  return rgb ? '#' + value.toString(16).padStart(6, '0') : String(value);
}

function style(c) {
  const parts = [];
  const flags = [['isBold', 'bold'], ['isDim', 'dim'], ['isItalic', 'italic'], ['isBlink', 'blink'],
    ['isInverse', 'inverse'], ['isInvisible', 'hidden'], ['isStrikethrough', 'strike'], ['isOverline', 'overline']];
  for (const [f, name] of flags) if (c[f]()) parts.push(name);
  // xterm.js adds an underline to links, and a restored pen does not know which underline was its own.
  if (c.isUnderline() && !c.extended.urlId) parts.push('underline' + (c.extended.underlineStyle || 1));
  const fg = color(c.getFgColor(), c.isFgRGB(), c.isFgDefault());
  const bg = color(c.getBgColor(), c.isBgRGB(), c.isBgDefault());
  if (fg) parts.push('fg' + fg);
  if (bg) parts.push('bg' + bg);
  return parts.join(',');
}

function line(t, y) {
  const l = t.buffer.active.getLine(y);
  let text = '';
  const runs = [];
  let last = '';
  for (let x = 0; x < t.cols; x++) {
    const c = l.getCell(x);
    if (c.getWidth() > 0 || c.getChars() !== '') text += c.getChars() || ' ';
    const s = style(c);
    if (s !== last) runs.push(x + ':' + s);
    last = s;
  }
  return [text.replace(/ +$/, ''), runs.join(' ')];
}

function state(t, at) {
  const b = t.buffer.active;
  const m = t.modes;
  const s = { at, x: b.cursorX, y: b.cursorY, alt: b.type === 'alternate', title: t.lastTitle || '' };
  s.modes = {
    cursorKeys: m.applicationCursorKeysMode, keypad: m.applicationKeypadMode, paste: m.bracketedPasteMode,
    insert: m.insertMode, origin: m.originMode, wrap: m.wraparoundMode, focus: m.sendFocusMode,
    mouse: m.mouseTrackingMode, visible: !t._core.coreService.isCursorHidden,
  };
  s.lines = [];
  for (let y = 0; y < t.rows; y++) s.lines.push(line(t, b.baseY + y));
  s.history = [];
  for (let y = Math.max(0, b.baseY - scrollback); y < b.baseY; y++) s.history.push(line(t, y));
  return s;
}

// small returns the last state of one stream on a small terminal.
async function small(stream) {
  const t = open(12, 6);
  await write(t, stream);
  const s = state(t, Buffer.byteLength(stream));
  t.dispose();
  return s;
}

async function main() {
  if (process.argv[2] === '--lines') {
    let failed; // xterm.js throws in a timer, where no try block catches it
    process.on('uncaughtException', () => failed(null));
    for await (const line of readline.createInterface({ input: process.stdin })) {
      console.log(JSON.stringify(await new Promise((done) => { failed = done; small(JSON.parse(line)).then(done); })));
    }
    return;
  }
  const input = fs.readFileSync(0);
  if (process.argv[2] === '--cases') {
    const cases = JSON.parse(input);
    const out = {};
    for (const name of Object.keys(cases)) out[name] = await small(cases[name]);
    console.log(JSON.stringify(out, null, 1));
    return;
  }
  const [cols, rows] = process.argv[2].split('x').map(Number);
  const n = Number(process.argv[3]);
  const t = open(cols, rows);
  const states = [];
  let done = 0;
  for (let i = 1; i <= n; i++) {
    const at = Math.floor(input.length * i / n);
    await write(t, new Uint8Array(input.subarray(done, at)));
    done = at;
    states.push(state(t, at));
  }
  console.log(JSON.stringify(states));
}
main();
