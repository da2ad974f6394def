/** Floods the service from the network namespace it is started in, when and as it is told over IPC. */
import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { setTimeout as pause } from 'node:timers/promises'
import { RawConnection } from '../../support/raw-http.ts'
import type { Flood } from './flood.ts'
import type { FloodOrder, FloodReport, FloodTarget } from './flood-process.ts'

const betweenWaves = 200
/** An answer that must come has not, after this. */
const patience = 10_000

/** What was done since the last report. */
let tried = 0
let failed: Record<string, number> = {}
let isWanted = false
let running: Promise<void> = Promise.resolve()

process.on('message', (order: FloodOrder) => {
  if (order.kind === 'stop') {
    isWanted = false
    void report()
  } else {
    isWanted = true
    running = flood(order.flood, order.target, order.hold)
  }
})
process.once('disconnect', () => process.exit(0))

async function report(): Promise<void> {
  await running
  const done: FloodReport = { tried, failed }
  tried = 0
  failed = {}
  process.send?.(done)
}

async function flood(wanted: Flood, target: FloodTarget, hold: number): Promise<void> {
  // At least once, however short the time.
  do {
    const all = Array.from({ length: wanted.connections }, (_, place) => place)
    await Promise.all(all.map((place) => one(wanted, place, target, hold)))
    await pause(betweenWaves)
  } while (isWanted)
}

async function one(wanted: Flood, place: number, target: FloodTarget, hold: number): Promise<void> {
  const socket = open(target, place % wanted.addresses)
  socket.on('error', () => undefined)
  const request = wanted.requests[place % wanted.requests.length] ?? ''
  if (wanted.unreadBytes === undefined) await mustBeAnswered(socket, request, wanted)
  else {
    holdUnread(socket, request, wanted.unreadBytes)
    await pause(hold)
  }
  socket.destroy()
}

function open({ host, port, addresses, tls }: FloodTarget, from: number): Socket {
  if (tls === undefined) {
    const localAddress = addresses[from]
    return connect({ host, port, noDelay: true, ...(localAddress && { localAddress }) })
  }
  const [ca, cert, key] = [tls.caFile, tls.certificateFile, tls.keyFile].map((file) =>
    readFileSync(file),
  )
  return connectTls({ host, port, ca, cert, key })
}

function holdUnread(socket: Socket, request: string, bytes: number): void {
  socket.pause()
  const times = request === '' ? 0 : Math.max(1, Math.floor(bytes / request.length))
  tried += Math.max(1, times)
  if (times > 0) socket.write(request.repeat(times))
}

async function mustBeAnswered(socket: Socket, request: string, wanted: Flood): Promise<void> {
  tried += 1
  const connection = RawConnection.wrap(socket)
  if (wanted.endsHalf === true) socket.end(request)
  else void connection.write(request)
  const late = setTimeout(() => connection.close(), patience)
  const answer = await connection.answer({ isHead: request.startsWith('HEAD') })
  clearTimeout(late)
  if (answer?.status === 200) return
  const what = `${answer?.status ?? 'no answer'} to ${JSON.stringify(request.slice(0, 60))}`
  failed[what] = (failed[what] ?? 0) + 1
}
