/**
 * Every bound of the protocol, with its reason. Checked at the gate before anything is allocated, asserted inside.
 */
const KIB = 1024
const MIB = 1024 * KIB

/** A signed frame on the node link. What grows with the cohort is a blob and travels by CID. */
export const FRAME_BYTES_MAX = 64 * KIB
/** Blocks that travel with a frame: what is left of it beside the largest body and the envelope. */
export const ATTACHED_BYTES_MAX = 60 * KIB
/** How many: a report's vector; plan, parent and model; or a small session's signed messages, two blocks each. */
export const ATTACHED_BLOCKS_MAX = 128
/** socket.io's own cap: above ours, so that an oversized frame is refused by name instead of dropping the link. */
export const SOCKET_BYTES_MAX = 128 * KIB
/** Frames, and their bytes, that a node may send in a second, and after a pause: a member of a large session deals 16 at once. */
export const NODE_FRAMES = { perSecond: 256, burst: 1024 } as const
export const NODE_BYTES = { perSecond: 4 * MIB, burst: 16 * MIB } as const
/** Frames that the coordinator has sent and a node has not taken, and their bytes: above all it is ever told at once, of all runs. */
export const UNREAD_FRAMES_MAX = 1024
export const UNREAD_BYTES_MAX = 16 * MIB
/** The same of all nodes together: a fleet that stops reading is not buffered for either. */
export const ALL_UNREAD_BYTES_MAX = 512 * MIB
/** Frames of one node that wait for their turn, and events and bytes that wait of all nodes: past it sockets are left unread. */
export const WAITING_FRAMES_MAX = 16
export const WAITING_EVENTS_MAX = 65_536
export const WAITING_BYTES_MAX = 64 * MIB
/** Frames that a node has not looked at yet: past it, it drops its link, and is told anew where things stand. */
export const UNHEARD_FRAMES_MAX = 2048
export const UNHEARD_BYTES_MAX = 32 * MIB
/** One event of a run's log. Events hold names, blobs hold bytes. */
export const EVENT_BYTES_MAX = 4 * KIB
/** One block: the leaf size of the UnixFS profile unixfs-v1-2025, and the most a manifest may weigh. */
export const BLOCK_BYTES_MAX = MIB
/** One entry of any log: 256 full events. A larger thing is a blob. */
export const LOG_ENTRY_BYTES_MAX = MIB
/** Entries of one append: a burst of a large cohort in a few appends, and no transaction that holds up the others for long. */
export const LOG_APPEND_MAX = 256
/** One run's state between two rounds: its list of rounds is the most of it. A larger one is not kept, but replayed. */
export const SNAPSHOT_BYTES_MAX = 4 * MIB
/** Jobs that wait in one queue: far above one per seat, so that only a leak meets it. */
export const QUEUE_JOBS_MAX = 100_000
/** One job, as JSON: it names what is owed, and holds no bytes. */
export const JOB_BYTES_MAX = 4 * KIB
/** An upload ticket in text: its fields and its MAC take under 250. */
export const TICKET_CHARS_MAX = 512
/** Links of one UnixFS node in the same profile. */
export const UNIXFS_WIDTH = 1024
/** Levels of one UnixFS tree: 1,024 wide, five levels hold 2^50 bytes. A deeper tree is an attack on the reader's stack. */
export const UNIXFS_DEPTH_MAX = 5
/** Links that a walk leaves for later: a run of 4,096 rounds over a cohort of 4,096 leaves some ten thousand. */
export const LINKS_AHEAD_MAX = 2 ** 20
/** Blocks of one bundle that can be read: an index of them is held, of some 200 bytes each. */
export const BUNDLE_BLOCKS_MAX = 2 ** 23
/** Nodes in one round: 4,096 dense seats replay in well under a second. */
export const COHORT_MAX = 4096
/** Members of one session of secure aggregation: what a client can mask against, and a byte is a Shamir coordinate. */
export const SESSION_MEMBERS_MAX = 128
/** A sum of two tells each of them what the other gave. */
export const SESSION_MEMBERS_MIN = 3
/** Frames that one parcel is cut into: the largest, 127 boxes with both ciphertexts, takes 6. */
export const PARCEL_PARTS_MAX = 16
/** Complaints of one member: more dealers than that cannot be left out of any session. */
export const COMPLAINTS_MAX = 64
/** Sessions over one model that came to nothing and are told of in a plan. */
export const ENDINGS_MAX = 16
/** Tickets of one candidate: each is a hash in the draw, and 4,096 candidates with as many are drawn in a fifth of a second. */
export const TICKETS_MAX = 16
/** Nodes that a run remembers the attendance of: as many as one draw has candidates. The longest gone is forgotten first. */
export const ATTENDANCES_MAX = 4096
/** Times that a node may come back in one selection: each costs two entries of the log, which nobody may fill. */
export const RETURNS_MAX = 16
/** Entries that one node adds to a round's log while its cohort is chosen: it joins and leaves, and returns as often as it may. */
export const SELECTION_EVENTS_MAX = 2 * (RETURNS_MAX + 1)
/** The same in its seat: keys, what it says of the others', input, confirmation, shares, an abandonment, and that it left. */
export const SEAT_EVENTS_MAX = 7
/** And those that no node causes: statements, ticks, the sum, the settlement. */
export const ROUND_EVENTS_MAX = 24
/** Entries of one run's log after which no round is opened any more, and the run ends by that name: about half a gigabyte. */
export const RUN_EVENTS_MAX = 4_000_000
/** Fewer than two contributors is not an aggregate. */
export const COHORT_MIN = 2
/** Rounds of one run: what a run manifest of one block can list. A longer training is several runs, one forked from another. */
export const ROUNDS_MAX = 4096
/** Times that one run is extended: what each adds is kept in its state and in its record. */
export const EXTENSIONS_MAX = 64
/** One file of a task's public data, which a node reads whole: 256 MiB. */
export const PUBLIC_FILE_BYTES_MAX = 256 * MIB
/** Parameters of one model: 2^28 float32 are 1 GiB, the most a node is asked to hold twice. */
export const PARAMETERS_MAX = 2 ** 28
/** Elements of what one layer puts out for one row: any product with a batch's rows stays exact. Memory is bounded by the node. */
export const ELEMENTS_MAX = 2 ** 36
/** Layers of one architecture. */
export const LAYERS_MAX = 256
/** A public weight (a node's example count) in the ring; COHORT_MAX * WEIGHT_MAX = 2^28 < 2^32. */
export const WEIGHT_MAX = 65_536
/** Rows of one file that a site has, of which each task takes no more than WEIGHT_MAX. */
export const FILE_ROWS_MAX = 2 ** 22
/** Rows of a table contract's columns, levels of one column, and bytes of one name. */
export const COLUMNS_MAX = 512
export const LEVELS_MAX = 64
export const NAME_CHARS_MAX = 100
/** Tokens of one row's text: attention over more would be most of any node's memory. */
export const TOKENS_MAX = 4096
/** Words that a contract names, and characters of one: with short words they fill what a request to the API may weigh. */
export const VOCABULARY_MAX = 16_384
export const WORD_CHARS_MAX = 40
/** Kinds of data that one row joins: a table, images, and some columns of text. */
export const PARTS_MAX = 8
/** Free text a peer may send us: reasons, details. */
export const REASON_CHARS_MAX = 200
/** What a task's author says of its model under one heading: it is in a block with the rest of the task. */
export const PROSE_CHARS_MAX = 4000
/** Largest loss of one row that an evaluation lane counts, in nats; larger ones are counted as this. */
export const LOSS_MAX_NATS = 64
/** Classes that a task may ask metrics of: a confusion matrix has as many cells as their square. */
export const SCORED_CLASSES_MAX = 64
/** Labels of one row that are there or not: with every metric of each, a round's figures still fit an event. */
export const LABELS_MAX = 28
/** Lanes of all scores of one task: 28 labels with every metric fill 14,420 of them. */
export const SCORE_LANES_MAX = 2 ** 14
/** One phase's time limit: a day. */
export const PHASE_MILLIS_MAX = 86_400_000
/** Items of one question, and cells of all its items together: at two lanes a cell, the vector still fits beside a frame. */
export const QUESTION_ITEMS_MAX = 64
export const QUESTION_CELLS_MAX = 4096
/** Edges of one histogram: 256 bins. */
export const HISTOGRAM_EDGES_MAX = 257
/** Levels that one item counts: more make cells that hold hardly anybody. */
export const QUESTION_LEVELS_MAX = 40
/** Quantiles that are read off one histogram. */
export const QUANTILES_MAX = 99
/** Largest minimum cell: one that no site could fill would ask for nothing. */
export const MIN_CELL_MAX = 10_000
/** Fewest sites that a question is answered over: of two, each could take its own away and read the other's. */
export const QUESTION_COHORT_MIN = 3
/** A real that a question names, in millionths: a billion either way, so that every difference is exact. */
export const REAL_MICRO_MAX = 1_000_000_000_000_000
/** Steps between the bounds of a moments item: as fine as a float32; a site's sum of squares has 81 bits. */
export const MOMENT_STEPS_MAX = 2 ** 24
/** Rows that one site may answer for. */
export const SITE_ROWS_MAX = 2 ** 32
