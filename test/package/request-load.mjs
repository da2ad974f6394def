// A guest's requests, each on a connection of its own: RATE a second until the file STOP exists. Prints counts as JSON.
import { existsSync } from 'node:fs'
import { get } from 'node:http'

const [rate, stop, expected] = process.argv.slice(2)
const counts = { sent: 0, good: 0, failures: {} }
let running = 0

function failed(why) {
  counts.failures[why] = (counts.failures[why] ?? 0) + 1
}

function send() {
  counts.sent += 1
  running += 1
  const ended = (note) => {
    running -= 1
    note()
  }
  const request = get('http://169.254.169.254/openstack/latest/meta_data.json', {
    agent: false,
    timeout: 10_000,
  })
  request.on('response', (response) => {
    let text = ''
    response.setEncoding('utf8').on('data', (part) => (text += part))
    response.on('end', () =>
      ended(() => {
        const isOwn = response.statusCode === 200 && text.includes(expected)
        if (isOwn) counts.good += 1
        else failed(`${response.statusCode} ${response.headers['x-overlapd-reason'] ?? ''}`)
      }),
    )
  })
  request.on('timeout', () => request.destroy(new Error('timeout')))
  request.on('error', (cause) => ended(() => failed(cause.code ?? cause.message)))
}

const began = performance.now()
const timer = setInterval(() => {
  // As many as are due by now: a timer that is late does not lower the rate.
  const due = ((performance.now() - began) / 1_000) * Number(rate)
  while (counts.sent < due) send()
  if (!existsSync(stop)) return
  clearInterval(timer)
  const wait = setInterval(() => {
    if (running > 0) return
    clearInterval(wait)
    const seconds = (performance.now() - began) / 1_000
    process.stdout.write(`${JSON.stringify({ ...counts, seconds })}\n`)
  }, 50)
}, 5)
