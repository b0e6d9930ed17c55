import { backend, type Command, coordinators, type Option, quota, state, tethered } from '../command.ts'

/** From outside the blow may come when the report is out already: the node that is to die takes it upon itself. */
const diesInRound: Option = {
  name: 'dies-in-round',
  value: '<n>',
  summary: 'for demo --chaos: kill -9 of oneself in this round, once its keys are shared and before its input leaves',
  hidden: true,
}

const nodeState: Option = { ...state, summary: "the node's folder; else $XDG_STATE_HOME/consilium/node" }

/** What runs processes: the demo, a coordinator, a node. */
export const PROCESSES: readonly Command[] = [
  {
    name: 'demo',
    summary: 'train a real model across separate node processes on this machine, and verify it',
    options: [
      { name: 'nodes', value: '<n>', summary: 'node processes; default 5, or one for each CSV file' },
      { name: 'rounds', value: '<n>', default: '8', summary: 'training rounds' },
      { name: 'seed', value: '<text>', default: '1', summary: 'root of all randomness: the same seed, the same model' },
      { name: 'data', value: '<folder>', summary: 'your own data, one CSV file a site, instead of handwritten digits' },
      {
        name: 'label',
        value: '<column>',
        summary: 'with --data: the column to predict; given again: several, each of 1, 0 or nothing',
      },
      {
        name: 'classes',
        value: '<n>',
        summary: 'with --data: labels are 0 … n-1; else more than two values mean "not 0"',
      },
      backend,
      { name: 'chaos', summary: 'kill one node in round 2, after it has shared its keys' },
      { name: 'folder', value: '<folder>', summary: 'where to keep everything; default ./.consilium/demo-<time>' },
      { name: 'keep', summary: 'leave coordinator and nodes running afterwards, until Ctrl-C' },
    ],
    examples: ['consilium demo', 'consilium demo --chaos', 'consilium demo --data ./hospitals --label num --rounds 15'],
    prints: 'demo',
    load: () => import('../demo.ts'),
  },
  {
    name: 'coordinator up',
    summary: 'run the coordinator: API, blocks and node link on one port',
    options: [
      {
        name: 'host',
        value: '<address>',
        default: '127.0.0.1',
        summary: 'address to listen on; off loopback only with TLS',
      },
      { name: 'port', value: '<n>', default: '7410', summary: 'port to listen on; 0 takes a free one' },
      state,
      { name: 'allow', value: '<file>', summary: 'who may link: node ids, one a line, each with its operator, if any' },
      {
        name: 'by-invite',
        summary: 'nodes link that took an invite (consilium invite create), beside those of --allow',
      },
      { name: 'open', summary: 'let any node link' },
      { name: 'no-dashboard', summary: 'serve no dashboard at /' },
      { name: 'no-lend', summary: 'with --open: serve no page at /lend, by which a browser becomes a node' },
      {
        name: 'webhook-host',
        value: '<host:port>',
        summary: 'webhooks may go there though it is no public host, over HTTP too; may be given again',
      },
      {
        name: 'cors-origin',
        value: '<origin>',
        summary: 'pages of there may call the API, with a key and never by cookie; may be given again',
      },
      { name: 'tls-cert', value: '<file>', summary: 'certificate chain, PEM' },
      { name: 'tls-key', value: '<file>', summary: 'its private key, PEM' },
      {
        name: 'grace',
        value: '<ms>',
        default: '10000',
        summary: 'how long a node may be away before its seat is given up',
      },
      {
        name: 'redis',
        value: '<url>',
        env: 'CONSILIUM_REDIS',
        summary:
          'one of several coordinators that share this Redis and --state; rather by the variable: it may hold a password',
      },
      {
        name: 'redis-trusted',
        summary: 'speak with a Redis off loopback without TLS: nobody can read or write that network',
      },
      quota,
      {
        name: 'kubo',
        value: '<url,…>',
        env: 'CONSILIUM_KUBO',
        summary:
          'RPC of a Kubo daemon that keeps the public blocks; its key by CONSILIUM_KUBO_AUTHORIZATION or --kubo-key',
      },
      {
        name: 'kubo-quorum',
        value: '<n>',
        summary:
          'keep the public blocks in the state folder as well as in each --kubo: how many of them must have one; the rest follow',
      },
      {
        name: 'kubo-network',
        value: '<kind>',
        default: 'private',
        summary: 'private: refuse a daemon that others can reach; public: anybody may fetch the blocks',
      },
      {
        name: 'kubo-private',
        value: '<url>',
        summary:
          'RPC of a second daemon, private, for what is not public; its key by CONSILIUM_KUBO_PRIVATE_AUTHORIZATION',
      },
      { name: 'kubo-key', value: '<file>', summary: "file of the daemon's key, as bearer:… or basic:…" },
      { name: 'kubo-private-key', value: '<file>', summary: "file of the second daemon's key" },
      {
        name: 'pin-to',
        value: '<file>',
        summary: 'pinning services at which open runs are published: names, addresses, and where their tokens are',
      },
      { name: 'pin-quorum', value: '<n>', default: '1', summary: 'with --pin-to: how many of them must have a thing' },
      { name: 'publish-hospitals', summary: 'with --pin-to: publish runs of hospital populations as well' },
      {
        name: 'keep-vectors',
        value: '<days>',
        default: '30',
        summary: 'how long after the end of a run its vectors are kept for those who verify it, or forever',
      },
      {
        name: 'spot-checks',
        value: '<whom>',
        default: 'open',
        summary: 'whose claims of speed are tested now and then: open (nodes of open populations), all or none',
      },
      {
        name: 'libp2p',
        value: '<multiaddr,…>',
        summary: 'where to serve the public blocks to IPFS peers, e.g. /ip4/127.0.0.1/tcp/4001; nowhere by default',
      },
      {
        name: 'libp2p-peer',
        value: '<multiaddr,…>',
        summary: 'IPFS peers to stay connected with, so that they can fetch from here; nobody else is ever dialled',
      },
      {
        name: 'log-level',
        value: '<level>',
        default: 'info',
        summary: 'fatal, error, warn, info, debug, trace or silent',
      },
      tethered,
    ],
    examples: ['consilium coordinator up --allow nodes.txt', 'consilium coordinator up --open --port 0 --json'],
    prints: 'coordinator',
    load: () => import('../coordinator-up.ts'),
  },
  {
    name: 'kubo config',
    summary: 'print the commands that make a Kubo daemon fit for a coordinator',
    options: [
      {
        name: 'network',
        value: '<kind>',
        default: 'private',
        summary: 'private: it speaks with nobody but its own swarm; public: anybody may fetch from it',
      },
    ],
    examples: ['consilium kubo config | IPFS_PATH=./kubo sh'],
    prints: 'kubo-config',
    load: () => import('../kubo-config.ts'),
  },
  {
    name: 'kubo swarm-key',
    summary: 'print a new key for a private swarm of Kubo daemons',
    options: [],
    examples: ['consilium kubo swarm-key > swarm.key && chmod 600 swarm.key'],
    prints: 'swarm-key',
    load: () => import('../kubo-swarm-key.ts'),
  },
  {
    name: 'node up',
    summary: 'run a node: it trains on data that stays here, and is paid',
    options: [
      coordinators,
      {
        name: 'coordinator-key',
        value: '<z6Mk…>',
        env: 'CONSILIUM_COORDINATOR_KEY',
        summary: 'its key, pinned: nobody else is listened to',
      },
      {
        ...state,
        summary: "the node's folder: key, journal of masked rounds, receipts; else $XDG_STATE_HOME/consilium/node",
      },
      { name: 'data', value: '<path>', summary: 'a CSV file, or a folder with images.idx and labels.idx' },
      { name: 'public', summary: 'no data of its own: train on a share of what tasks themselves name' },
      {
        name: 'images',
        value: '<file>',
        summary: 'with --data table.csv: an IDX file with an image for each row of the table, in the same order',
      },
      {
        name: 'publish-dataset',
        value: '<name>',
        summary:
          'say in public what the data is: names and kinds of columns or the shape of images, and a power of two below the rows',
      },
      { name: 'withdraw-dataset', summary: 'take back what was published of the data' },
      {
        name: 'population',
        value: '<kind>',
        summary: 'hospital: refuse whatever is not masked; open: take unmasked rounds, too',
      },
      {
        name: 'cohort-min',
        value: '<n>',
        default: '2',
        summary: 'fewest reports in a round that this node takes part in',
      },
      {
        name: 'allow',
        value: '<file>',
        summary: 'who may be in a masked round with this node: node ids, one a line; a hospital node needs it',
      },
      {
        name: 'max-corrupt',
        value: '<n>',
        summary:
          'nodes of all those allowed that may work with the coordinator; default a fifth of the others, at least 1',
      },
      {
        name: 'max-memory',
        value: '<MiB>',
        default: '2048',
        summary:
          'memory that training may take, on wasm at most 4096: a task that needs more is declined before its model is fetched',
      },
      {
        name: 'min-cell',
        value: '<n>',
        summary: 'answer questions about the data, none of whose cells is of fewer rows; else none is answered',
      },
      {
        name: 'gateway',
        value: '<url,url>',
        summary: 'trustless IPFS gateways to ask for public blocks first: whatever comes is hashed; default none',
      },
      {
        name: 'bandwidth',
        value: '<rate>',
        summary: 'what blocks may take of the line each way, as 4Mbit/s or 512KiB/s; or <down,up>, as 8Mbit/s,1Mbit/s',
      },
      { name: 'given-start', summary: 'hospitals: also train from weights that a run was given, and no seed' },
      { name: 'withhold-evaluation', summary: "masked rounds: add no figures on this node's held-out rows" },
      backend,
      {
        name: 'cpu-share',
        value: '<percent>',
        default: '100%',
        summary: 'of the time that training may work: after each batch it rests',
      },
      {
        name: 'stop-file',
        value: '<file>',
        summary: 'while this file exists, at once: no training, no seats, no secrets; when it is gone the node is back',
      },
      {
        name: 'stop-on-battery',
        summary: 'no training and no seats while the machine runs on its battery (Linux, macOS)',
      },
      {
        name: 'share',
        value: '<host:port>',
        summary: 'show the other nodes of this site the public blocks fetched here; off loopback only with TLS',
      },
      { name: 'share-tls-cert', value: '<file>', summary: 'with --share: certificate chain, PEM' },
      { name: 'share-tls-key', value: '<file>', summary: 'with --share: its private key, PEM' },
      {
        name: 'site-nodes',
        value: '<url,url>',
        summary:
          'where the other nodes of this site share: the same list at each of them, so that a block comes in once',
      },
      {
        name: 'shared-quota',
        value: '<bytes>',
        default: '1073741824',
        summary: 'disk for blocks that can be fetched again: models above all',
      },
      { name: 'no-bench', summary: 'measure nothing, and tell the coordinator nothing of what this machine can do' },
      tethered,
      diesInRound,
    ],
    examples: [
      'consilium node up --coordinator-key z6Mk… --data ./site.csv --population open',
      'consilium node up --coordinator-key z6Mk… --data ./site.csv --population hospital --allow nodes.txt',
    ],
    prints: 'node-lines',
    load: () => import('../node-up.ts'),
  },
  {
    name: 'node pause',
    summary: 'let a node rest: no new rounds, and its training waits, until node resume',
    options: [nodeState],
    examples: ['consilium node pause --state ./site-1'],
    prints: 'switched',
    load: () => import('../node-pause.ts'),
  },
  {
    name: 'node resume',
    summary: 'let a paused node go on, and one that drains stay',
    options: [nodeState],
    examples: ['consilium node resume --state ./site-1'],
    prints: 'switched',
    load: () => import('../node-resume.ts'),
  },
  {
    name: 'node drain',
    summary: 'let a node finish the seat that it has, take no other, and end',
    options: [nodeState],
    examples: ['consilium node drain --state ./site-1'],
    prints: 'switched',
    load: () => import('../node-drain.ts'),
  },
  {
    name: 'node id',
    summary: "print a node's id, making its key if there is none",
    options: [nodeState],
    examples: ['consilium node id --state ./site-1 >> nodes.txt'],
    prints: 'node-id',
    load: () => import('../node-id.ts'),
  },
  {
    name: 'node backends',
    summary: 'list what this machine can train on; of the rest, why not and what would help',
    options: [],
    examples: ['consilium node backends', 'consilium node backends --json'],
    prints: 'backends',
    load: () => import('../node-backends.ts'),
  },
  {
    name: 'node bench',
    summary: 'measure how fast this machine trains the reference models, as a node would report it',
    options: [backend],
    examples: ['consilium node bench', 'consilium node bench --backend wasm --json'],
    prints: 'bench',
    load: () => import('../node-bench.ts'),
  },
]
