// A real S3 server on loopback: Ceph's gateway over one monitor and one OSD that keeps its objects in memory. npm test starts
// one for its tests (test/support/rgw.ts); by hand: `node scripts/rgw.cjs BUCKET...`, until it is interrupted.
'use strict'

const { execFile, spawn } = require('node:child_process')
const { randomBytes, randomUUID } = require('node:crypto')
const { once } = require('node:events')
const fs = require('node:fs')
const { createServer } = require('node:net')
const os = require('node:os')
const path = require('node:path')
const { promisify } = require('node:util')
const { needStore, say, whyNoStore } = require('./bootstrap.cjs')

const startedWithinMs = 60_000

async function freePorts(count) {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'))
  await Promise.all(servers.map((server) => once(server, 'listening')))
  const ports = servers.map((server) => server.address().port)
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return ports
}

// Its defaults are for a cluster: the monitors gather proposals for a second each, and an answer of two writes waits 40 ms for the
// reader to acknowledge the first (tcp_nodelay). Without them it starts in a second or two rather than in twelve.
function configuration({ directory, fsid, port, monitorPort }) {
  return `[global]
fsid = ${fsid}
mon host = v2:127.0.0.1:${monitorPort}
public network = 127.0.0.0/8
cluster network = 127.0.0.0/8
ms bind ipv6 = false
auth allow insecure global id reclaim = false
keyring = ${directory}/keyring
run dir = ${directory}
admin socket =
log file = ${directory}/$name.log
osd crush chooseleaf type = 0
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd pool default pg autoscale mode = off
osd objectstore = memstore
memstore device bytes = 8589934592
paxos propose interval = 0.01
paxos min wait = 0.01
debug ms = 0/0
debug osd = 0/0
debug rgw = 0/0
debug mon = 0/0
debug paxos = 0/0
mon allow pool size one = true
mon data avail crit = 1
mon max pg per osd = 1000
[mon.a]
mon data = ${directory}/mon
[osd.0]
osd data = ${directory}/osd
[client.rgw]
rgw data = ${directory}
rgw frontends = beast endpoint=127.0.0.1:${port} tcp_nodelay=1
rgw dns name = localhost
rgw crypt require ssl = false
rgw crypt s3 kms backend = testing
rgw crypt s3 kms encryption keys = kms-key=${randomBytes(32).toString('base64')}
rgw enable usage log = false
rgw enable gc threads = false
rgw lc debug interval = 1
`
}

/** Ceph's commands, for the server of this directory. */
function commandsIn(directory) {
  const env = { ...process.env, CEPH_CONF: path.join(directory, 'ceph.conf') }
  const options = { env, encoding: 'buffer', maxBuffer: 2 ** 30 }
  const exec = (program, ...args) => promisify(execFile)(program, args, options).then(({ stdout }) => stdout)
  return { env, exec }
}

/** What the store's back end holds of an object, read without the gateway. */
function bytesAtRestIn(directory) {
  const { exec } = commandsIn(directory)
  return async (bucket, key) => {
    const pool = 'default.rgw.buckets.data'
    const stat = ['object', 'stat', `--bucket=${bucket}`, `--object=${key}`]
    const { manifest } = JSON.parse((await exec('radosgw-admin', '-n', 'client.rgw', ...stat)).toString())
    const marker = manifest.tail_placement.bucket.marker
    const names = (await exec('rados', '-p', pool, 'ls')).toString().split('\n')
    const prefix = manifest.prefix
    const parts = names.filter((name) => name === `${marker}_${key}` || name.includes(`_${prefix}`))
    return Promise.all(parts.map((name) => exec('rados', '-p', pool, 'get', name, '-')))
  }
}

/**
 * Starts one in a directory of its own. It encrypts with `kmsKey`; asked for AES256 it stores what it got, and does not say that it
 * encrypted, as some stores do.
 */
async function startRgw() {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'pcap-ring-rgw-'))
  const conf = path.join(directory, 'ceph.conf')
  const keyring = path.join(directory, 'keyring')
  const { env, exec } = commandsIn(directory)
  const daemons = new Map()

  // None of them outlives us, however we end.
  function daemon(program, ...args) {
    const log = fs.openSync(path.join(directory, `${program}.out`), 'a')
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', program, '-f', ...args], {
      env,
      stdio: ['ignore', log, log],
    })
    fs.closeSync(log)
    daemons.set(program, child)
  }
  async function end(program) {
    const child = daemons.get(program)
    daemons.delete(program)
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const gone = once(child, 'exit')
    child.kill('SIGKILL')
    await gone
  }
  /** The end of its output, as its directory is gone when somebody reads of it. */
  const saidBy = (program) => fs.readFileSync(path.join(directory, `${program}.out`), 'utf8').slice(-2_000)
  async function stop() {
    for (const program of ['radosgw', 'ceph-osd', 'ceph-mon']) await end(program)
    fs.rmSync(directory, { recursive: true, force: true })
  }

  try {
    const fsid = randomUUID()
    const [port, monitorPort] = await freePorts(2)
    const endpoint = `http://127.0.0.1:${port}`
    for (const name of ['mon', 'osd']) fs.mkdirSync(path.join(directory, name))
    fs.writeFileSync(conf, configuration({ directory, fsid, port, monitorPort }))
    const monitorMap = path.join(directory, 'monmap')
    await exec('monmaptool', '--create', '--fsid', fsid, '--addv', 'a', `[v2:127.0.0.1:${monitorPort}]`, monitorMap)
    await exec('ceph-authtool', '--create-keyring', keyring, '--gen-key', '-n', 'mon.', '--cap', 'mon', 'allow *')
    const all = ['mon', 'osd', 'mgr', 'mds'].flatMap((part) => ['--cap', part, 'allow *'])
    for (const name of ['client.admin', 'client.rgw', 'osd.0']) {
      await exec('ceph-authtool', keyring, '--gen-key', '-n', name, ...all)
    }
    await exec('ceph-mon', '--mkfs', '-i', 'a', '--monmap', monitorMap, '--keyring', keyring)
    daemon('ceph-mon', '-i', 'a')
    await exec('ceph', 'osd', 'create')
    await exec('ceph-osd', '-i', '0', '--mkfs', '--osd-uuid', randomUUID())
    await exec('ceph', 'osd', 'crush', 'add', 'osd.0', '1.0', 'host=here', 'root=default')
    daemon('ceph-osd', '-i', '0')

    const answers = () =>
      fetch(endpoint).then(
        ({ ok }) => ok,
        () => false,
      )
    const startGateway = async () => {
      daemon('radosgw', '-n', 'client.rgw')
      for (const begun = Date.now(); !(await answers()); ) {
        const ended = daemons.get('radosgw').exitCode !== null
        if (ended || Date.now() - begun > startedWithinMs)
          throw new Error(`radosgw does not answer: ${saidBy('radosgw')}`)
        await new Promise((resolve) => setTimeout(resolve, 100))
      }
    }
    await startGateway()
    const secret = randomBytes(20).toString('hex')
    const user = ['user', 'create', '--uid', 'test', '--display-name', 'test']
    await exec('radosgw-admin', '-n', 'client.rgw', ...user, '--access-key', 'test', '--secret-key', secret)

    return {
      endpoint,
      credentials: { accessKeyId: 'test', secretAccessKey: secret },
      kmsKey: 'kms-key',
      /** The gateway alone: what it stored stays. */
      pause: () => end('radosgw'),
      resume: startGateway,
      bytesAtRest: bytesAtRestIn(directory),
      directory,
      stop,
    }
  } catch (error) {
    await stop()
    throw error
  }
}

module.exports = { bytesAtRestIn, startRgw }

async function main() {
  needStore()
  const why = whyNoStore()
  if (why !== null) throw new Error(why)
  const { endpoint, credentials, stop } = await startRgw()
  const { CreateBucketCommand, S3Client } = require('@aws-sdk/client-s3')
  const client = new S3Client({ endpoint, credentials, region: 'us-east-1', forcePathStyle: true })
  for (const Bucket of process.argv.slice(2)) await client.send(new CreateBucketCommand({ Bucket }))
  say(`${endpoint}  AWS_ACCESS_KEY_ID=${credentials.accessKeyId} AWS_SECRET_ACCESS_KEY=${credentials.secretAccessKey}`)
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => void stop())
}

if (require.main === module) {
  main().catch((error) => {
    say(error.message)
    process.exitCode = 1
  })
}
