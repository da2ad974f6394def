import { execFileSync } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { readdirSync, readFileSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import {
  deleteNetns,
  ipBatch,
  makeEmptyNamespaces,
  runInNetns,
  skipUnlessPrivileged,
  uniqueName,
} from '../support/netns.ts'
import { startProxy, type RunningProxy } from '../support/running-proxy.ts'

const count = 1_000

function descriptorsOf(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + readdirSync(`/proc/${pid}/fd`).length, 0)
}

/** Asks again and again, for at most half a minute. */
async function comesTrue(ask: () => boolean | Promise<boolean>): Promise<boolean> {
  for (let tries = 0; tries < 600; tries += 1) {
    if (await ask()) return true
    await new Promise((resolve) => {
      setTimeout(resolve, 50)
    })
  }
  return ask()
}

function name(proxy: RunningProxy, netns: string, neutronName: string): void {
  symlinkSync(`/run/netns/${netns}`, join(proxy.netnsFolder, neutronName))
}

function unname(proxy: RunningProxy, neutronName: string): void {
  unlinkSync(join(proxy.netnsFolder, neutronName))
}

/** The far ends, in one namespace of the test's, of devices whose near ends are in the others: each goes when its namespace does. */
function witnessesIn(netns: string): number {
  const text = execFileSync('ip', ['-n', netns, '-o', 'link', 'show', 'type', 'veth'], {
    encoding: 'utf8',
  })
  return text.split('\n').length - 1
}

function makeWitnesses(witness: string, names: readonly string[], generation: number): void {
  ipBatch(
    names.map(
      (netns, index) =>
        `link add name w${generation}-${index} netns ${witness} type veth peer name far netns ${netns}`,
    ),
  )
}

function identityOf(netns: string): string {
  return execFileSync('stat', ['-L', '-c', '%i', `/run/netns/${netns}`], { encoding: 'utf8' })
}

if (skipUnlessPrivileged(t)) {
  t.test(`${count} namespaces come, go, come again and change names without a trace`, async (t) => {
    const witness = uniqueName()
    const names = Array.from({ length: count }, () => uniqueName())
    const ids = names.map(() => randomUUID())
    makeEmptyNamespaces(t, [witness, ...names])
    makeWitnesses(witness, names, 1)
    const proxy = await startProxy(t)
    const pids = [proxy.pid, ...(await proxy.status()).workers.map(({ pid }) => pid)]
    const before = descriptorsOf(pids)
    const serves = (wanted: number, isNamed: (netns: string) => boolean = () => true) =>
      proxy.until(
        `${wanted} served`,
        ({ namespaces }) =>
          namespaces.length === wanted &&
          namespaces.every(
            ({ state, interception, netns }) =>
              state === 'serving' && interception === 'applied' && isNamed(netns),
          ),
      )
    for (const [index, netns] of names.entries()) name(proxy, netns, `qrouter-${ids[index]}`)
    await serves(count)
    const full = descriptorsOf(pids)
    t.ok(full >= before + pids.length * count - 5, 'each process holds each socket')

    const old = names.map(identityOf)
    ipBatch(names.map((netns) => `netns delete ${netns}`))
    ipBatch(names.map((netns) => `netns add ${netns}`))
    makeWitnesses(witness, names, 2)
    t.ok(
      names.every((netns, index) => identityOf(netns) !== old[index]),
      'the kernel has made others, so the first are still held',
    )
    // A link that points to the same path tells nobody of the change; Neutron's names are the mounts themselves.
    for (const [index, netns] of names.entries()) {
      unname(proxy, `qrouter-${ids[index]}`)
      name(proxy, netns, `qrouter-${ids[index]}`)
    }
    t.equal(await comesTrue(() => witnessesIn(witness) === count), true, 'the first are freed')
    await serves(count)
    t.equal(
      await comesTrue(() => descriptorsOf(pids) <= full + 5),
      true,
      'nothing was kept of them',
    )

    const renamed: string[] = names.map(() => randomUUID())
    for (const [index, netns] of names.entries()) {
      unname(proxy, `qrouter-${ids[index]}`)
      name(proxy, netns, `qrouter-${renamed[index]}`)
    }
    await serves(count, (netns) => renamed.includes(netns.replace('qrouter-', '')))
    t.equal(await comesTrue(() => descriptorsOf(pids) <= full + 5), true, 'nor of other names')
    for (const netns of [names[0]!, names[count / 2]!, names[count - 1]!]) {
      const { stdout } = await runInNetns(netns, ['nft', 'list', 'tables'])
      t.equal(stdout, 'table inet overlapd\n', 'the rules are there once')
    }

    for (const id of renamed) unname(proxy, `qrouter-${id}`)
    await serves(0)
    t.equal(await comesTrue(() => descriptorsOf(pids) <= before + 2), true, 'no descriptor is kept')
    ipBatch(names.map((netns) => `netns delete ${netns}`))
    t.equal(await comesTrue(() => witnessesIn(witness) === 0), true, 'no namespace is pinned')
    t.equal(await proxy.stop(), 0)
  })

  t.test('broken mounts are left out, reported once, and stop nothing', async (t) => {
    const proxy = await startProxy(t)
    const [whole, dead] = [uniqueName(), uniqueName()]
    makeEmptyNamespaces(t, [whole, dead])
    const plain = join(proxy.netnsFolder, `qrouter-${randomUUID()}`)
    writeFileSync(plain, '')
    const bound = join(proxy.netnsFolder, `qrouter-${randomUUID()}`)
    writeFileSync(bound, '')
    execFileSync('mount', ['--bind', `/run/netns/${dead}`, bound])
    t.teardown(() => {
      try {
        execFileSync('umount', [bound], { stdio: 'ignore' })
      } catch {
        // The test did it.
      }
    })
    const dangling = `qrouter-${randomUUID()}`
    name(proxy, 'no-such-namespace', dangling)
    name(proxy, whole, `qrouter-${randomUUID()}`)
    // A bind mount keeps a namespace alive after its name is gone, as Neutron's own may be.
    deleteNetns(dead)
    await proxy.until('both that live', ({ namespaces }) => {
      return namespaces.length === 2 && namespaces.every(({ state }) => state === 'serving')
    })
    const told = (): boolean =>
      proxy.log().includes('Names without a mounted namespace are left out')
    t.equal(await comesTrue(told), true)
    execFileSync('umount', [bound])
    unlinkSync(bound)
    await proxy.until('the one', ({ namespaces }) => namespaces.length === 1)
    unlinkSync(plain)
    const lines = proxy.log().split('\n')
    t.ok(lines.filter((line) => line.includes('left out')).length <= 2, 'once for each change')
    t.notMatch(readFileSync(`/proc/${proxy.pid}/mounts`, 'utf8'), bound)
  })
}
