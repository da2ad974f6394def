// In the place of a worker's main.js. As long as the file `hostile` lies beside it, it is a worker that was broken into: it says that it is
// ready, keeps every socket it is given, hands them to a child of its own, and sends message after message from lines.txt, each counted in
// sent.txt. Otherwise it is the worker.
import { spawn } from 'node:child_process'
import { appendFileSync, existsSync, readFileSync, writeSync } from 'node:fs'

const beside = (name) => new URL(name, import.meta.url)
const [channel, output] = [4, 5]
const atOnce = 10

if (existsSync(beside('hostile'))) await beHostile()
else await import('./real-main.js')

async function beHostile() {
  const { receiveDescriptors } = await import('../linux/libc.js')
  const [, , user, group] = process.argv
  process.setgroups([])
  process.setgid(Number(group))
  process.setuid(Number(user))
  process.on('SIGTERM', () => undefined)
  const lines = readFileSync(beside('lines.txt'), 'utf8').split('\n')
  let at = process.pid * 7
  let hasChild = false
  writeSync(output, '{"kind":"ready"}\n')
  setInterval(() => {
    const fds = received()
    if (fds.length > 0 && !hasChild) {
      hasChild = true
      const stdio = ['ignore', 'ignore', 'ignore', ...fds]
      const child = spawn('sleep', ['300'], { detached: true, stdio })
      appendFileSync(beside('children.txt'), `${child.pid}\n`)
    }
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
