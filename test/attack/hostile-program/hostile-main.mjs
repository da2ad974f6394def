// In the place of a worker's main.js. As long as the file `hostile` lies beside it, it is a worker that was broken into: it says that it is
// ready, keeps every socket it is given, hands them to a child that it started before it was forbidden to, and sends message after message
// from lines.txt, each counted in sent.txt. With the file `quiet` it sends none. Otherwise it is the worker.
import { spawn } from 'node:child_process'
import { appendFileSync, closeSync, existsSync, readFileSync, writeSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const beside = (name) => fileURLToPath(new URL(name, import.meta.url))
const [channel, output] = [4, 5]
const atOnce = 10
/** Sockets come soon after it is ready, and are to be handed on before it is killed. */
const mostTurnsBefore = 50

if (existsSync(beside('hostile'))) await beHostile()
else await import('./real-main.js')

async function beHostile() {
  const { openSocketPair } = await import('../../lib/linux/libc.js')
  const { receiveDescriptors, sendDescriptors } =
    await import('../../lib/linux/descriptor-messages.js')
  const { dropRoot } = await import('../privileges/drop-root.js')
  const [, , user, group] = process.argv
  const [ours, theirs] = openSocketPair()
  const words = [beside('hostile-child.py'), user, group, beside('holding.txt'), beside('later')]
  const stdio = ['ignore', 'ignore', 'ignore', theirs]
  const child = spawn('/usr/bin/python3', words, { detached: true, stdio })
  closeSync(theirs)
  appendFileSync(beside('children.txt'), `${child.pid}\n`)
  dropRoot([user, group])
  process.on('SIGTERM', () => undefined)
  const lines = readFileSync(beside('lines.txt'), 'utf8').split('\n')
  let at = process.pid * 7
  let turns = 0
  let hasHandedOn = false
  writeSync(output, '{"kind":"ready"}\n')
  setInterval(() => {
    turns += 1
    const fds = received()
    if (fds.length > 0) {
      sendDescriptors(ours, fds)
      hasHandedOn = true
    }
    if (existsSync(beside('quiet')) || !(hasHandedOn || turns > mostTurnsBefore)) return
    for (let count = 0; count < atOnce; count += 1) {
      at = (at + 1) % lines.length
      writeSync(output, `${lines[at]}\n`)
      appendFileSync(beside('sent.txt'), '.')
    }
  }, 2)

  function received() {
    try {
      return receiveDescriptors(channel)?.fds ?? []
    } catch {
      return []
    }
  }
}
