// DO NOT EDIT. Made by scripts/build-lua.ts from the files in lua/; `npm run lua -w @ponos/sdk` makes it anew.
/* oxlint-disable max-lines -- generated */

/** `worker`: carries a fence; `member`: of a session; `client`: anybody, refused at maxmemory; `reader`: writes nothing. */
export type Caller = "worker" | "member" | "client" | "reader"

export interface Script {
  readonly name: string
  readonly caller: Caller
  readonly keys: string
  readonly sha1: string
  readonly source: string
}

export const scripts = {
  answers: {
    name: "answers",
    caller: "reader",
    keys: "shard…",
    sha1: "de7c2b99a9847f04545d3b74dbe3255d42a42649",
    source: `#!lua flags=no-writes
local call, ARGV, KEYS = redis.call, ARGV, KEYS
local byte, char, find, format, gsub, match, sub = string.byte, string.char, string.find, string.format, string.gsub, string.match, string.sub
local function groups(handle)
  local replies, at = {}, 2
  for g = 1, #KEYS do
    if at > #ARGV then break end
    local last = at + tonumber(ARGV[at])
    local ok, reply = pcall(handle, KEYS[g], at + 1, last)
    if not ok then reply = "!" .. (type(reply) == "table" and tostring(reply.err) or tostring(reply)) end
    replies[g] = reply
    at = last + 1
  end
  return replies
end
return groups(function(shard, at, last)
  return call("HMGET", shard .. "o", unpack(ARGV, at, last))
end)
`,
  },
  append_stream: {
    name: "append_stream",
    caller: "client",
    keys: "stream",
    sha1: "b5852e1d3080cfa7c44978f31f185a13fbb084b4",
    source: `#!lua
local call, ARGV, KEYS = redis.call, ARGV, KEYS
local byte, char, find, format, gsub, match, sub = string.byte, string.char, string.find, string.format, string.gsub, string.match, string.sub
local store_time
local function now()
  if store_time then return store_time end
  if ARGV[1] ~= "" then
    store_time = tonumber(ARGV[1])
  else
    local time = call("TIME")
    store_time = time[1] * 1000 + math.floor(time[2] / 1000)
  end
  return store_time
end
local function forget_requests(prefix)
  local over = call("ZRANGEBYSCORE", prefix .. "d", "-inf", now(), "LIMIT", 0, 100)
  if #over == 0 then return end
  call("ZREM", prefix .. "d", unpack(over))
  call("HDEL", prefix .. "o", unpack(over))
end
local function remember_request(prefix, id, answer, retention)
  call("ZADD", prefix .. "d", now() + retention, id)
  call("HSET", prefix .. "o", id, answer)
  if ARGV[1] == "" then
    call("PEXPIRE", prefix .. "d", 2 * retention)
    call("PEXPIRE", prefix .. "o", 2 * retention)
  end
end
local function trim_stream(log, max_length, max_age)
  call("XTRIM", log, "MAXLEN", max_length)
  local oldest = now() - max_age
  if oldest > 0 then call("XTRIM", log, "MINID", format("%.0f", oldest)) end
end
local stream = KEYS[1]
local log, meta = stream .. "l", stream .. "m"
local last = call("HMGET", meta, "at", "number")
local at, number = tonumber(last[1] or 0), tonumber(last[2] or 0)
local function whole(value) return format("%.0f", value) end
forget_requests(stream)
at = math.max(at, now())
local replies, arg, appended = {}, 2, false
while arg <= #ARGV do
  local count, id, retention = tonumber(ARGV[arg]), ARGV[arg + 1], tonumber(ARGV[arg + 2])
  local known = call("HGET", stream .. "o", id)
  if known then
    replies[#replies + 1] = cjson.decode(known)
  else
    local reply = { whole(at), whole(number + 1), whole(at), whole(number + count) }
    for n = 0, count - 1 do
      number = number + 1
      call("XADD", log, whole(at) .. "-" .. whole(number), "t", ARGV[arg + 5 + 2 * n], "p", ARGV[arg + 6 + 2 * n])
    end
    remember_request(stream, id, cjson.encode(reply), retention)
    trim_stream(log, ARGV[arg + 3], ARGV[arg + 4])
    replies[#replies + 1], appended = reply, true
  end
  arg = arg + 5 + 2 * count
end
if appended then
  call("HSET", meta, "at", whole(at), "number", whole(number))
  call("SPUBLISH", stream .. "append", "")
end
return replies
`,
  },
  assign: {
    name: "assign",
    caller: "member",
    keys: "settings assignment channel",
    sha1: "e2ea1e74d166439ac916b4340e00a5ac2c29c161",
    source: `#!lua flags=allow-oom
local call, ARGV, KEYS = redis.call, ARGV, KEYS
local byte, char, find, format, gsub, match, sub = string.byte, string.char, string.find, string.format, string.gsub, string.match, string.sub
local versions = call("HMGET", KEYS[1], "assignment", "members")
local version, members = tonumber(versions[1] or 0), versions[2] or "0"
if version == ARGV[2] + 1 then
  local stored = call("HMGET", KEYS[2], "members", "value")
  return stored[1] == ARGV[3] and stored[2] == ARGV[4] and 1 or 0
end
if version ~= tonumber(ARGV[2]) or members ~= ARGV[3] then return 0 end
call("HSET", KEYS[2], "members", ARGV[3], "value", ARGV[4])
call("HSET", KEYS[1], "assignment", version + 1)
call("SPUBLISH", KEYS[3], tostring(version + 1))
return 1
`,
  },
  assignment: {
    name: "assignment",
    caller: "reader",
    keys: "settings assignment",
    sha1: "7f730b6fcc61eb7a3878e87f310990bbc15fd795",
    source: `#!lua flags=no-writes
local call, ARGV, KEYS = redis.call, ARGV, KEYS
local byte, char, find, format, gsub, match, sub = string.byte, string.char, string.find, string.format, string.gsub, string.match, string.sub
local stored = call("HMGET", KEYS[2], "members", "value")
return { call("HGET", KEYS[1], "assignment"), stored[1], stored[2] }
`,
  },
  audit: {
    name: "audit",
    caller: "reader",
    keys: "shard…",
    sha1: "ae3f0a20a896893ad82bab210d77d51df3565dce",
    source: `#!lua flags=no-writes
local call, ARGV, KEYS = redis.call, ARGV, KEYS
local byte, char, find, format, gsub, match, sub = string.byte, string.char, string.find, string.format, string.gsub, string.match, string.sub
local function groups(handle)
  local replies, at = {}, 2
  for g = 1, #KEYS do
    if at > #ARGV then break end
    local last = at + tonumber(ARGV[at])
    local ok, reply = pcall(handle, KEYS[g], at + 1, last)
    if not ok then reply = "!" .. (type(reply) == "table" and tostring(reply.err) or tostring(reply)) end
    replies[g] = reply
    at = last + 1
  end
  return replies
end
return groups(function(shard, at)
  local h = shard .. "h"
  local oldest = call("LINDEX", h, 0)
  local from = oldest and math.max(ARGV[at] + 1 - tonumber(match(oldest, "^%d+")), 0) or 0
  local reply = call("LRANGE", h, from, from + ARGV[at + 1])
  table.insert(reply, 1, call("HGET", shard .. "r", "") or "")
  return reply
end)
`,
  },
  beat_sink: {
    name: "beat_sink",
    caller: "member",
    keys: "stream",
    sha1: "034b52f13200ce29625507ab682906ace320a559",
    source: `#!lua flags=allow-oom
local call, ARGV, KEYS = redis.call, ARGV, KEYS
local byte, char, find, format, gsub, match, sub = string.byte, string.char, string.find, string.format, string.gsub, string.match, string.sub
local counters = KEYS[1] .. "c:" .. ARGV[2]
if call("HEXISTS", counters, ARGV[3]) == 1 then call("HINCRBY", counters, ARGV[3], 1) end
return call("HGETALL", counters)
`,
  },
  change_map: {
    name: "change_map",
    caller: "client",
    keys: "map",
    sha1: "47d2bc843975c207968aa90ef2729f1ca8192e7e",
    source: `#!lua
local call, ARGV, KEYS = redis.call, ARGV, KEYS
local byte, char, find, format, gsub, match, sub = string.byte, string.char, string.find, string.format, string.gsub, string.match, string.sub
local store_time
local function now()
  if store_time then return store_time end
  if ARGV[1] ~= "" then
    store_time = tonumber(ARGV[1])
  else
    local time = call("TIME")
    store_time = time[1] * 1000 + math.floor(time[2] / 1000)
  end
  return store_time
end
local function items_of(text)
  local items, at = {}, 2
  if not text or text == "[]" then return items end
  if sub(text, 1, 1) ~= "[" then return nil end
  while true do
    if sub(text, at, at) ~= '"' then return nil end
    local from = at
    at = at + 1
    while true do
      local hit = find(text, '["\\\\]', at)
      if not hit then return nil end
      at = hit + 1
      if sub(text, hit, hit) == '"' then break end
      at = at + 1
    end
    items[#items + 1] = sub(text, from, at - 1)
    local follows = sub(text, at, at)
    at = at + 1
    if follows == "]" then return at > #text and items or nil end
    if follows ~= "," then return nil end
  end
end
local function forget_requests(prefix)
  local over = call("ZRANGEBYSCORE", prefix .. "d", "-inf", now(), "LIMIT", 0, 100)
  if #over == 0 then return end
  call("ZREM", prefix .. "d", unpack(over))
  call("HDEL", prefix .. "o", unpack(over))
end
local function remember_request(prefix, id, answer, retention)
  call("ZADD", prefix .. "d", now() + retention, id)
  call("HSET", prefix .. "o", id, answer)
  if ARGV[1] == "" then
    call("PEXPIRE", prefix .. "d", 2 * retention)
    call("PEXPIRE", prefix .. "o", 2 * retention)
  end
end
local MAX_SAFE, REVISIONS_PER_MS = 9007199254740991, 4096
local map = KEYS[1]
local entries, meta = map .. "e", map .. "m"
local stored = call("HMGET", meta, "revision", "bytes", "expiry")
local revision, bytes, expiry = tonumber(stored[1] or 0), tonumber(stored[2] or 0), tonumber(stored[3] or 0)
if expiry > 0 and expiry <= now() then
  call("DEL", entries, meta, map .. "d", map .. "o")
  revision, bytes, expiry = 0, 0, 0
end
forget_requests(map)
local function whole(number) return format("%.0f", number) end
local function joined(items) return #items > 0 and "[" .. table.concat(items, ",") .. "]" end
local function appended(list, at, count, unique)
  local known = {}
  if unique then for _, item in ipairs(list) do known[item] = true end end
  for n = at, at + count - 1 do
    local item = ARGV[n]
    if not known[item] then list[#list + 1] = item end
    if unique then known[item] = true end
  end
  return joined(list)
end
local function removed(list, at, count)
  local gone, rest = {}, {}
  for n = at, at + count - 1 do gone[ARGV[n]] = true end
  for _, item in ipairs(list) do if not gone[item] then rest[#rest + 1] = item end end
  return joined(rest)
end
local function increased(value, by)
  local number = tonumber(value or "0")
  if value and not find(value, "^%-?%d+$") or math.abs(number) > MAX_SAFE then return nil end
  number = number + by
  return math.abs(number) <= MAX_SAFE and whole(number) or nil
end
local function stage(at, last)
  local staged, order, cleared, values = {}, {}, false, {}
  local function put(key, value)
    if staged[key] == nil then order[#order + 1] = key end
    staged[key] = value
  end
  while at <= last do
    local letter, key = ARGV[at], ARGV[at + 1]
    local n = #values + 1
    local value, result = staged[key], false
    if value == nil then value = letter ~= "x" and not cleared and call("HGET", entries, key) end
    at = at + 2
    if letter == "s" then
      put(key, ARGV[at])
      at = at + 1
    elseif letter == "c" then
      if value ~= (ARGV[at] == "1" and ARGV[at + 1]) then return { "conflict", whole(revision), tostring(n - 1), value } end
      put(key, ARGV[at + 2] == "1" and ARGV[at + 3])
      at = at + 4
    elseif letter == "d" then
      put(key, false)
    elseif letter == "x" then
      staged, order, cleared = {}, {}, true
    elseif letter == "i" then
      result = increased(value, ARGV[at])
      if not result then return { "mistyped", whole(revision), tostring(n - 1), value } end
      put(key, result)
      at = at + 1
    else
      local list, count = items_of(value), tonumber(ARGV[at])
      if not list then return { "mistyped", whole(revision), tostring(n - 1), value } end
      if letter == "r" then result = removed(list, at + 1, count) else result = appended(list, at + 1, count, letter == "u") end
      put(key, result)
      at = at + 1 + count
    end
    values[n] = result
  end
  return nil, staged, order, cleared, values
end
local function differences(staged, order, cleared)
  local changes, count, size = {}, call("HLEN", entries), bytes
  local grows_from, sized_from = count, bytes
  local changed = cleared and count > 0
  if cleared then count, size = 0, 0 end
  for _, key in ipairs(order) do
    local before, after = not cleared and call("HGET", entries, key), staged[key]
    if before ~= after then
      changes[#changes + 1] = key
      changes[#changes + 1] = after
      if before then count, size = count - 1, size - #key - #before end
      if after then count, size = count + 1, size + #key + #after end
    end
  end
  return changes, changed or #changes > 0, count, size, grows_from, sized_from
end
local function change(at, last)
  local id, retention, keep = ARGV[at], ARGV[at + 1], tonumber(ARGV[at + 2])
  local known = call("HGET", map .. "o", id)
  if known then return cjson.decode(known) end
  local refusal, staged, order, cleared, values = stage(at + 5, last)
  if refusal then return refusal end
  local changes, changed, count, size, count_before, size_before = differences(staged, order, cleared)
  if count > count_before and count > tonumber(ARGV[at + 3]) or size > size_before and size > tonumber(ARGV[at + 4]) then
    return { "full", whole(revision) }
  end
  if changed then
    if revision == 0 then revision = now() * REVISIONS_PER_MS end
    revision, bytes = revision + 1, size
    if cleared then call("DEL", entries) end
    for n = 1, #changes, 2 do
      if changes[n + 1] then call("HSET", entries, changes[n], changes[n + 1]) else call("HDEL", entries, changes[n]) end
    end
    expiry = keep > 0 and now() + keep or 0
    call("HSET", meta, "revision", whole(revision), "bytes", whole(bytes), "expiry", whole(expiry))
    for _, key in ipairs({ entries, meta }) do
      if keep > 0 and ARGV[1] == "" then call("PEXPIRE", key, keep) else call("PERSIST", key) end
    end
    call("SPUBLISH", map .. "change", cjson.encode({ whole(revision), cleared and "1" or "", unpack(changes) }))
  end
  local reply = { changed and "ok" or "same", whole(revision), unpack(values) }
  if changed then remember_request(map, id, cjson.encode(reply), retention) end
  return reply
end
local replies, at = {}, 2
while at <= #ARGV do
  local last = at + tonumber(ARGV[at])
  replies[#replies + 1] = change(at + 1, last)
  at = last + 1
end
return replies
`,
  },
  claim: {
    name: "claim",
    caller: "worker",
    keys: "shard…",
    sha1: "db2dc044a1ab9578c358d06207713d3441000dfc",
    source: `#!lua flags=allow-oom
local call, ARGV, KEYS = redis.call, ARGV, KEYS
local byte, char, find, format, gsub, match, sub = string.byte, string.char, string.find, string.format, string.gsub, string.match, string.sub
local store_time
local function now()
  if store_time then return store_time end
  if ARGV[1] ~= "" then
    store_time = tonumber(ARGV[1])
  else
    local time = call("TIME")
    store_time = time[1] * 1000 + math.floor(time[2] / 1000)
  end
  return store_time
end
local function groups(handle)
  local replies, at = {}, 2
  for g = 1, #KEYS do
    if at > #ARGV then break end
    local last = at + tonumber(ARGV[at])
    local ok, reply = pcall(handle, KEYS[g], at + 1, last)
    if not ok then reply = "!" .. (type(reply) == "table" and tostring(reply.err) or tostring(reply)) end
    replies[g] = reply
    at = last + 1
  end
  return replies
end
local function append_audit(shard, keep, entry)
  local h = shard .. "h"
  local last = call("LINDEX", h, -1)
  local number = last and tonumber(match(last, "^%d+")) or 0
  call("RPUSH", h, format("%.0f", number + 1) .. "\\t" .. entry)
  if keep then call("LTRIM", h, -keep, -1) end
end
local EPOCH_ZERO = 1735689600000 -- 2025-01-01
return groups(function(shard, at)
  local from, session, known, padding = ARGV[at], ARGV[at + 1], tonumber(ARGV[at + 2]), ARGV[at + 3]
  local r = shard .. "r"
  local header = call("HGET", r, "") or ""
  local owner, epoch = match(header, "^([^\\t]*)\\t(%d+)\\t")
  epoch = tonumber(epoch or 0)
  if header == from then
    local before = format("%.0f", epoch)
    epoch = math.max(epoch + 1, now() - EPOCH_ZERO, known + 1)
    local granted = format("%.0f", epoch)
    call("HSET", r, "", session .. "\\t" .. granted .. "\\t" .. padding)
    local entry = { "c", format("%.0f", now()), granted, session, before, owner or "", ARGV[at + 2] }
    append_audit(shard, ARGV[at + 4], table.concat(entry, "\\t"))
  elseif owner ~= session or epoch <= known then
    return { 0, header }
  end
  local reply = call("SMEMBERS", shard .. "w")
  table.insert(reply, 1, 1)
  table.insert(reply, 2, format("%.0f", epoch))
  return reply
end)
`,
  },
  commit: {
    name: "commit",
    caller: "worker",
    keys: "shard…",
    sha1: "4de14122114df8252e152fc2075d5422c06f32ca",
    source: `#!lua flags=allow-oom
local call, ARGV, KEYS = redis.call, ARGV, KEYS
local byte, char, find, format, gsub, match, sub = string.byte, string.char, string.find, string.format, string.gsub, string.match, string.sub
local store_time
local function now()
  if store_time then return store_time end
  if ARGV[1] ~= "" then
    store_time = tonumber(ARGV[1])
  else
    local time = call("TIME")
    store_time = time[1] * 1000 + math.floor(time[2] / 1000)
  end
  return store_time
end
local function groups(handle)
  local replies, at = {}, 2
  for g = 1, #KEYS do
    if at > #ARGV then break end
    local last = at + tonumber(ARGV[at])
    local ok, reply = pcall(handle, KEYS[g], at + 1, last)
    if not ok then reply = "!" .. (type(reply) == "table" and tostring(reply.err) or tostring(reply)) end
    replies[g] = reply
    at = last + 1
  end
  return replies
end
local function parse(record)
  return match(record, "^(%a)%d*\\t([^\\t]*\\t[^\\t]*)\\t(%d*)\\t(%d*)\\t([^\\t]*)\\t([^\\t]*)\\t()")
end
local function run_of(ident)
  return match(ident, "^[^\\t]*")
end
local function is_on(on, kind, name)
  return kind ~= "s" or find(on, "\\31" .. name .. "\\31", 1, true) ~= nil
end
local function digest(shard, control, sign)
  local controller, first, second = match(control, "^([^\\31]*)\\31[^\\31]*\\31(%d+)\\31(%d+)$")
  local k = shard .. "k"
  call("HINCRBY", k, controller .. "\\tcount", sign .. "1")
  call("HINCRBY", k, controller .. "\\tfirst", first == "0" and first or sign .. first)
  call("HINCRBY", k, controller .. "\\tsecond", second == "0" and second or sign .. second)
end
local since_text
local function since()
  since_text = since_text or format("%.0f", now())
  return since_text
end
local PARKED, END, TAB, ZERO = 112, 101, 9, 48
local ONE, MANY, NUMBERS, BODY, KEEP, CLEAR, ANSWERS, LENGTH = 43, 42, 110, 98, 107, 99, 119, 108
local function found(stored, ident)
  local tab = find(stored, "\\t", 1, true)
  local from, to = find(stored, ident, tab + 1, true)
  if from == tab + 1 and byte(stored, to + 1) == TAB and byte(stored) ~= END then return to end
end
local function is_bare(stored, to)
  local consumed, b, due, on, control = byte(stored, to + 2, to + 6)
  return consumed == ZERO and b == TAB and due == TAB and on == TAB and control == TAB
end
local function append(journal_key, length, entries, appended)
  local made = appended == 0 and call("LLEN", journal_key)
    or appended == 1 and call("RPUSH", journal_key, ARGV[entries])
    or call("RPUSH", journal_key, unpack(ARGV, entries, entries + appended - 1))
  if made == length + appended then return true end
  if appended == 0 then return false end
  call("LTRIM", journal_key, 0, -1 - appended)
  if made ~= length + 2 * appended then return false end
  local stored = call("LRANGE", journal_key, length, -1)
  for n = 1, appended do
    if stored[n] ~= ARGV[entries + n - 1] then return false end
  end
  return true
end
local function members(set, first, count)
  if count == 1 then return { call("SISMEMBER", set, ARGV[first]) } end
  return call("SMISMEMBER", set, unpack(ARGV, first, first + count - 1))
end
local scores = {}
local function forgotten(retention)
  local score = scores[retention]
  if not score then
    score = format("%.0f", -(now() + retention))
    scores[retention] = score
  end
  return score
end
local set, agenda, leave, ready, drop, load, unload = { "HSET" }, { "ZADD" }, { "SREM" }, { "RPUSH" }, { "DEL" }, { "SADD" }, { "SREM" }
local function write(list, count, shard, key)
  if count == 2 then return end
  list[2] = shard .. key
  call(unpack(list, 1, count))
end
local replies = groups(function(shard, at, last)
  local count = tonumber(ARGV[at + 1])
  local first = at + 2
  local r, w, b = shard .. "r", shard .. "w", shard .. "b"
  local records = call("HMGET", r, "", unpack(ARGV, first, first + count - 1))
  if records[1] ~= ARGV[at] then
local function append_audit(shard, keep, entry)
  local h = shard .. "h"
  local last = call("LINDEX", h, -1)
  local number = last and tonumber(match(last, "^%d+")) or 0
  call("RPUSH", h, format("%.0f", number + 1) .. "\\t" .. entry)
  if keep then call("LTRIM", h, -keep, -1) end
end
local KEPT = 16
local function refuse(shard, verb, writer)
  local h = shard .. "h"
  local session, epoch = match(writer, "^([^\\t]*)\\t(%d+)\\t")
  local time = format("%.0f", now())
  local who = epoch .. "\\t" .. session .. "\\t" .. verb .. "\\t"
  local recent = call("LRANGE", h, -KEPT, -1)
  local refusals, newest = 0, nil
  for n = #recent, 1, -1 do
    local start, was, header, count, last, others = match(recent[n], "^(%d+\\tx\\t%d+\\t)(%d+\\t[^\\t]*\\t%a+\\t)(%d+\\t[^\\t]*\\t)(%d+)\\t(%d+)\\t(%d+)$")
    if not start then break end
    refusals = refusals + 1
    if was == who then
      call("LSET", h, n - #recent - 1, start .. was .. header .. (count + 1) .. "\\t" .. time .. "\\t" .. others)
      return "stale"
    end
    newest = newest or start .. was .. header .. count .. "\\t" .. last .. "\\t" .. (others + 1)
  end
  if refusals == KEPT then
    call("LSET", h, -1, newest)
    return "stale"
  end
  local owner, owned = match(call("HGET", shard .. "r", "") or "", "^([^\\t]*)\\t(%d+)\\t")
  append_audit(shard, nil, "x\\t" .. time .. "\\t" .. who .. (owned or "0") .. "\\t" .. (owner or "") .. "\\t1\\t" .. time .. "\\t0")
  return "stale"
end
    refuse(shard, "commit", ARGV[at])
    return "."
  end
  local active, laden = members(w, first, count), nil
  local reply, later, events, ended = {}, nil, nil, nil
  local sets, dues, leaves, readies, drops, loads, unloads = 2, 2, 2, 2, 1, 2, 2
  local linked
  at = first + count
  for n = 1, count do
    local address = ARGV[first + n - 1]
    local stored, code, newest, consumed = records[n + 1], "c", 0, 0
    local ident, op = ARGV[at], ARGV[at + 1]
    local phase, numbers, has_body, journal, has_answers, has_length = byte(op, 1, 6)
    local new_ident, seen, outcome, outcome_length, retention, due, on, body, length, appended, entries, answered, ids
    at = at + 2
    if phase == ONE then
      length, appended, entries = tonumber(sub(op, 2)), 1, at
      at = at + 1
    elseif phase == MANY then
      length, appended, entries = tonumber(ARGV[at]), tonumber(ARGV[at + 1]), at + 2
      ids = entries + appended + 1
      answered = tonumber(ARGV[ids - 1])
      at = ids + 2 * answered
    else
      new_ident, seen = ARGV[at], 0
      at = at + 1
      if phase == END then
        outcome, retention = ARGV[at], ARGV[at + 1]
        at = at + 2
      elseif phase == PARKED then
        due, on = ARGV[at], ARGV[at + 1]
        at = at + 2
      end
      if numbers == NUMBERS then
        consumed, seen = tonumber(ARGV[at]), tonumber(ARGV[at + 1])
        at = at + 2
      end
      if has_body == BODY then
        body = ARGV[at]
        at = at + 1
      end
      if journal == KEEP then
        length, appended, entries = tonumber(ARGV[at]), tonumber(ARGV[at + 1]), at + 2
        at = entries + appended
      end
      if has_answers == ANSWERS then
        answered, ids = tonumber(ARGV[at]), at + 1
        at = ids + 2 * answered
      end
      if has_length == LENGTH then
        outcome_length = ARGV[at]
        at = at + 1
      end
    end
    if not stored then
    elseif phase == ONE or phase == MANY then
      local to = active[n] == 1 and found(stored, ident)
      if to and append(shard .. "j:" .. address, length, entries, appended) then
        code = "a"
        if appended == 0 then
          newest = match(stored, "^%d*", to + 2) + call("LLEN", shard .. "i:" .. address)
        elseif length == 0 then
          loads = loads + 1
          load[loads] = address
        end
      end
    else
      local to = found(stored, ident)
      local bare = to and is_bare(stored, to)
      local stored_phase, stored_ident, consumed_text, control, body_at, _
      if bare then
        stored_ident, consumed_text, control, body_at = ident, "0", "", to + 7
      else
        stored_phase, stored_ident, consumed_text, _, _, control, body_at = parse(stored)
      end
      local stored_consumed = tonumber(consumed_text)
      laden = laden or members(b, first, count)
      local is_active, is_laden = active[n] == 1, laden[n] == 1
      local inbox, journal_key
      if is_laden or (appended and appended > 0) then
        inbox, journal_key = shard .. "i:" .. address, shard .. "j:" .. address
      end
      newest = is_laden and stored_consumed + call("LLEN", inbox) or stored_consumed
      if stored_ident == new_ident then
        code = is_active and "a" or sub(stored_phase, 1, 1)
      elseif stored_ident ~= ident or not is_active or stored_phase == "e" then
        newest = 0
      elseif journal == KEEP and (is_laden and call("LLEN", journal_key) or 0) ~= length then
        newest = 0
      elseif phase == END and seen and newest > seen then
        code = "u"
      else
        local due_text, on_text = "", ""
        code = char(phase)
        if phase == PARKED and newest > seen then
          local unseen = call("LRANGE", inbox, math.max(seen - stored_consumed, 0), -1)
          for m = 1, #unseen do
            local kind, name = match(unseen[m], "^(%a)\\t([^\\t]*)")
            if is_on(on, kind, name) then
              code = "r"
              break
            end
          end
        end
        local letter = code
        if code == "a" then
          letter = "r"
        else
          leaves = leaves + 1
          leave[leaves] = address
          if code == "r" then
            letter = letter .. since()
            readies = readies + 1
            ready[readies] = address
          elseif code == "p" then
            on_text = on
            if due ~= "" then
              due_text = format("%.0f", byte(due) == 43 and now() + sub(due, 2) or tonumber(due))
              agenda[dues + 1], agenda[dues + 2] = due_text, address
              dues = dues + 2
            end
          else
            due_text = outcome_length or #outcome
            agenda[dues + 1], agenda[dues + 2] = forgotten(retention), address
            dues = dues + 2
            events = events or {}
            events[#events + 1] = "e\\t" .. address .. "\\t" .. ident
            if control ~= "" then
              later = later or {}
              later[#later + 1] = control
            end
            if linked == nil then linked = call("EXISTS", shard .. "y") == 1 end
            if linked then
              ended = ended or {}
              ended[#ended + 1] = { address, run_of(ident), outcome }
            end
          end
        end
        local is_ahead = consumed > stored_consumed
        local record
        if code == "e" and bare and body and not is_ahead then
          record = "e\\t" .. new_ident .. "\\t0\\t" .. due_text .. "\\t\\t\\t" .. outcome .. body
        else
          record = letter .. "\\t" .. new_ident .. "\\t" .. (is_ahead and format("%.0f", consumed) or consumed_text) .. "\\t" .. due_text .. "\\t"
            .. on_text .. "\\t" .. control .. "\\t" .. (outcome or "") .. (body or sub(stored, body_at))
        end
        set[sets + 1], set[sets + 2] = address, record
        sets = sets + 2
        if is_laden then
          if code == "e" then
            drop[drops + 1], drop[drops + 2] = inbox, journal_key
            drops = drops + 2
            unloads = unloads + 1
            unload[unloads] = address
          else
            if is_ahead then
              later = later or {}
              later[#later + 1] = { "LTRIM", inbox, consumed - stored_consumed, -1 }
            end
            if journal == CLEAR then
              drops = drops + 1
              drop[drops] = journal_key
              if newest <= math.max(consumed, stored_consumed) then
                unloads = unloads + 1
                unload[unloads] = address
              end
            end
          end
        end
        if appended and appended > 0 and code ~= "e" then
          later = later or {}
          later[#later + 1] = { "RPUSH", journal_key, unpack(ARGV, entries, entries + appended - 1) }
          if not is_laden then
            loads = loads + 1
            load[loads] = address
          end
        end
      end
    end
    if code ~= "c" then
      if answered and code ~= "u" then
        later, events = later or {}, events or {}
        for m = ids, ids + 2 * answered - 2, 2 do
          if call("ZSCORE", shard .. "d", ARGV[m]) then later[#later + 1] = { "HSET", shard .. "o", ARGV[m], ARGV[m + 1] } end
          events[#events + 1] = "a\\t" .. ARGV[m]
        end
      end
      if consumed > newest then newest = consumed end
    end
    reply[n] = newest > 0 and code .. format("%.0f", newest) or code
  end
  write(set, sets, shard, "r")
  write(agenda, dues, shard, "a")
  write(leave, leaves, shard, "w")
  write(ready, readies, shard, "q")
  if drops > 1 then call(unpack(drop, 1, drops)) end
  write(load, loads, shard, "b")
  write(unload, unloads, shard, "b")
  if later then
    for n = 1, #later do
      if type(later[n]) == "table" then call(unpack(later[n])) else digest(shard, later[n], "-") end
    end
  end
  if ended then
local function release_links(shard, address, run, outcome)
  if call("SREM", shard .. "y", address) == 0 then return end
  local key = shard .. "l:" .. address
  local links = call("LRANGE", key, 0, -1)
  for n = 1, #links do
    call("HSET", shard .. "x", address .. "\\t" .. run .. "\\t" .. links[n], outcome)
  end
  call("DEL", key)
  call("SPUBLISH", shard .. "hint", "x")
end
    for n = 1, #ended do release_links(shard, ended[n][1], ended[n][2], ended[n][3]) end
  end
  if events then call("SPUBLISH", shard .. "event", table.concat(events, "\\n")) end
  return table.concat(reply)
end)
replies[#replies + 1] = format("%.0f", now())
for g = 1, #replies do
  if byte(replies[g]) == 33 then replies[g] = gsub(replies[g], "\\n", " ") end
end
return table.concat(replies, "\\n")
`,
  },
  destroy_map: {
    name: "destroy_map",
    caller: "member",
    keys: "map",
    sha1: "36581b38a3b749fb0b0f6aa2e9809207bf54e0be",
    source: `#!lua flags=allow-oom
local call, ARGV, KEYS = redis.call, ARGV, KEYS
local byte, char, find, format, gsub, match, sub = string.byte, string.char, string.find, string.format, string.gsub, string.match, string.sub
local map = KEYS[1]
if call("DEL", map .. "e", map .. "m", map .. "d", map .. "o") > 0 then call("SPUBLISH", map .. "change", "") end
return 1
`,
  },
  destroy_sink: {
    name: "destroy_sink",
    caller: "member",
    keys: "stream",
    sha1: "837cc05893742963afbff3e237e66d8ddae3ba72",
    source: `#!lua flags=allow-oom
local call, ARGV, KEYS = redis.call, ARGV, KEYS
local byte, char, find, format, gsub, match, sub = string.byte, string.char, string.find, string.format, string.gsub, string.match, string.sub
redis.pcall("XGROUP", "DESTROY", KEYS[1] .. "l", ARGV[2])
call("DEL", KEYS[1] .. "c:" .. ARGV[2], KEYS[1] .. "r:" .. ARGV[2])
return 1
`,
  },
  destroy_stream: {
    name: "destroy_stream",
    caller: "member",
    keys: "stream",
    sha1: "c6bb248858269d3438a76d34ebf100dc250bbc99",
    source: `#!lua flags=allow-oom
local call, ARGV, KEYS = redis.call, ARGV, KEYS
local byte, char, find, format, gsub, match, sub = string.byte, string.char, string.find, string.format, string.gsub, string.match, string.sub
local stream = KEYS[1]
local keys = { stream .. "l", stream .. "m", stream .. "d", stream .. "o" }
if call("EXISTS", keys[1]) == 1 then
  for _, group in ipairs(call("XINFO", "GROUPS", keys[1])) do
    keys[#keys + 1] = stream .. "c:" .. group[2]
    keys[#keys + 1] = stream .. "r:" .. group[2]
  end
end
call("DEL", unpack(keys))
return 1
`,
  },
  digests: {
    name: "digests",
    caller: "client",
    keys: "shard…",
    sha1: "f77cb5cc72e54a674fdc395ae3e26be1490b0ef0",
    source: `#!lua
local call, ARGV, KEYS = redis.call, ARGV, KEYS
local byte, char, find, format, gsub, match, sub = string.byte, string.char, string.find, string.format, string.gsub, string.match, string.sub
local function groups(handle)
  local replies, at = {}, 2
  for g = 1, #KEYS do
    if at > #ARGV then break end
    local last = at + tonumber(ARGV[at])
    local ok, reply = pcall(handle, KEYS[g], at + 1, last)
    if not ok then reply = "!" .. (type(reply) == "table" and tostring(reply.err) or tostring(reply)) end
    replies[g] = reply
    at = last + 1
  end
  return replies
end
local function superseded(shard, controller, fence)
  local field = controller .. "\\tfence"
  local seen = call("HGET", shard .. "k", field)
  if seen and fence < seen then return true end
  if seen ~= fence then call("HSET", shard .. "k", field, fence) end
  return false
end
return groups(function(shard, at)
  local controller, fence = ARGV[at], ARGV[at + 1]
  if fence ~= "" then superseded(shard, controller, fence) end
  return call("HMGET", shard .. "k", controller .. "\\tfence", controller .. "\\tcount", controller .. "\\tfirst", controller .. "\\tsecond")
end)
`,
  },
  forbid: {
    name: "forbid",
    caller: "client",
    keys: "shard…",
    sha1: "812332f9440c8078d60befb90894319f5a1ef213",
    source: `#!lua
local call, ARGV, KEYS = redis.call, ARGV, KEYS
local byte, char, find, format, gsub, match, sub = string.byte, string.char, string.find, string.format, string.gsub, string.match, string.sub
local store_time
local function now()
  if store_time then return store_time end
  if ARGV[1] ~= "" then
    store_time = tonumber(ARGV[1])
  else
    local time = call("TIME")
    store_time = time[1] * 1000 + math.floor(time[2] / 1000)
  end
  return store_time
end
local function groups(handle)
  local replies, at = {}, 2
  for g = 1, #KEYS do
    if at > #ARGV then break end
    local last = at + tonumber(ARGV[at])
    local ok, reply = pcall(handle, KEYS[g], at + 1, last)
    if not ok then reply = "!" .. (type(reply) == "table" and tostring(reply.err) or tostring(reply)) end
    replies[g] = reply
    at = last + 1
  end
  return replies
end
return groups(function(shard, at, last)
  local replies = {}
  for item = at, last, 2 do
    local run = ARGV[item]
    if call("ZADD", shard .. "d", "NX", now() + ARGV[item + 1], run) == 1 then call("HSET", shard .. "o", run, "forbidden") end
    replies[#replies + 1] = call("HGET", shard .. "o", run) == "forbidden" and "forbidden" or "known"
  end
  return replies
end)
`,
  },
  forward: {
    name: "forward",
    caller: "worker",
    keys: "shard…",
    sha1: "9c992780b9bf6668247f8d2bdc6dfeb30662229e",
    source: `#!lua flags=allow-oom
local call, ARGV, KEYS = redis.call, ARGV, KEYS
local byte, char, find, format, gsub, match, sub = string.byte, string.char, string.find, string.format, string.gsub, string.match, string.sub
local store_time
local function now()
  if store_time then return store_time end
  if ARGV[1] ~= "" then
    store_time = tonumber(ARGV[1])
  else
    local time = call("TIME")
    store_time = time[1] * 1000 + math.floor(time[2] / 1000)
  end
  return store_time
end
local function groups(handle)
  local replies, at = {}, 2
  for g = 1, #KEYS do
    if at > #ARGV then break end
    local last = at + tonumber(ARGV[at])
    local ok, reply = pcall(handle, KEYS[g], at + 1, last)
    if not ok then reply = "!" .. (type(reply) == "table" and tostring(reply.err) or tostring(reply)) end
    replies[g] = reply
    at = last + 1
  end
  return replies
end
local function fence(shard, header)
  return call("HGET", shard .. "r", "") == header
end
return groups(function(shard, at, last)
  if not fence(shard, ARGV[at]) then
local function append_audit(shard, keep, entry)
  local h = shard .. "h"
  local last = call("LINDEX", h, -1)
  local number = last and tonumber(match(last, "^%d+")) or 0
  call("RPUSH", h, format("%.0f", number + 1) .. "\\t" .. entry)
  if keep then call("LTRIM", h, -keep, -1) end
end
local KEPT = 16
local function refuse(shard, verb, writer)
  local h = shard .. "h"
  local session, epoch = match(writer, "^([^\\t]*)\\t(%d+)\\t")
  local time = format("%.0f", now())
  local who = epoch .. "\\t" .. session .. "\\t" .. verb .. "\\t"
  local recent = call("LRANGE", h, -KEPT, -1)
  local refusals, newest = 0, nil
  for n = #recent, 1, -1 do
    local start, was, header, count, last, others = match(recent[n], "^(%d+\\tx\\t%d+\\t)(%d+\\t[^\\t]*\\t%a+\\t)(%d+\\t[^\\t]*\\t)(%d+)\\t(%d+)\\t(%d+)$")
    if not start then break end
    refusals = refusals + 1
    if was == who then
      call("LSET", h, n - #recent - 1, start .. was .. header .. (count + 1) .. "\\t" .. time .. "\\t" .. others)
      return "stale"
    end
    newest = newest or start .. was .. header .. count .. "\\t" .. last .. "\\t" .. (others + 1)
  end
  if refusals == KEPT then
    call("LSET", h, -1, newest)
    return "stale"
  end
  local owner, owned = match(call("HGET", shard .. "r", "") or "", "^([^\\t]*)\\t(%d+)\\t")
  append_audit(shard, nil, "x\\t" .. time .. "\\t" .. who .. (owned or "0") .. "\\t" .. (owner or "") .. "\\t1\\t" .. time .. "\\t0")
  return "stale"
end
    return refuse(shard, "forward", ARGV[at])
  end
  local x = shard .. "x"
  if last > at + 1 then call("HDEL", x, unpack(ARGV, at + 2, last)) end
  return call("HRANDFIELD", x, ARGV[at + 1], "WITHVALUES")
end)
`,
  },
  headers: {
    name: "headers",
    caller: "reader",
    keys: "shard…",
    sha1: "3fb7b49c7d0af0dfc6a1a706bb02c06b575cbb46",
    source: `#!lua flags=no-writes
local call, ARGV, KEYS = redis.call, ARGV, KEYS
local byte, char, find, format, gsub, match, sub = string.byte, string.char, string.find, string.format, string.gsub, string.match, string.sub
local function groups(handle)
  local replies, at = {}, 2
  for g = 1, #KEYS do
    if at > #ARGV then break end
    local last = at + tonumber(ARGV[at])
    local ok, reply = pcall(handle, KEYS[g], at + 1, last)
    if not ok then reply = "!" .. (type(reply) == "table" and tostring(reply.err) or tostring(reply)) end
    replies[g] = reply
    at = last + 1
  end
  return replies
end
return groups(function(shard)
  return call("HMGET", shard .. "r", "")
end)
`,
  },
  join: {
    name: "join",
    caller: "member",
    keys: "settings members counters channel",
    sha1: "499e6a3791128ad2a38ad88a8d7d93c0b13591ed",
    source: `#!lua flags=allow-oom
local call, ARGV, KEYS = redis.call, ARGV, KEYS
local byte, char, find, format, gsub, match, sub = string.byte, string.char, string.find, string.format, string.gsub, string.match, string.sub
local function members_changed(settings, channel)
  local version = call("HINCRBY", settings, "members", 1)
  call("SPUBLISH", channel, tostring(version))
  return version
end
if call("HSETNX", KEYS[3], ARGV[2], 1) == 0 then return tonumber(call("HGET", KEYS[1], "members")) end
call("HSET", KEYS[2], ARGV[2], ARGV[3])
return members_changed(KEYS[1], KEYS[4])
`,
  },
  join_sink: {
    name: "join_sink",
    caller: "client",
    keys: "stream",
    sha1: "92c6c4451dd47e6b2aa7bc8dcf822697941308e7",
    source: `#!lua
local call, ARGV, KEYS = redis.call, ARGV, KEYS
local byte, char, find, format, gsub, match, sub = string.byte, string.char, string.find, string.format, string.gsub, string.match, string.sub
local log, sink, start = KEYS[1] .. "l", ARGV[2], ARGV[4] == "" and "0" or ARGV[4]
redis.pcall("XGROUP", "CREATE", log, sink, start, "MKSTREAM")
call("HSETNX", KEYS[1] .. "c:" .. sink, ARGV[3], 1)
call("XGROUP", "CREATECONSUMER", log, sink, ARGV[3])
return 1
`,
  },
  leave: {
    name: "leave",
    caller: "member",
    keys: "settings members counters channel",
    sha1: "b662a4db9b509cc6ca31d118d5225d10364c5e76",
    source: `#!lua flags=allow-oom
local call, ARGV, KEYS = redis.call, ARGV, KEYS
local byte, char, find, format, gsub, match, sub = string.byte, string.char, string.find, string.format, string.gsub, string.match, string.sub
local function members_changed(settings, channel)
  local version = call("HINCRBY", settings, "members", 1)
  call("SPUBLISH", channel, tostring(version))
  return version
end
call("HDEL", KEYS[2], ARGV[2])
if call("HDEL", KEYS[3], ARGV[2]) == 1 then members_changed(KEYS[1], KEYS[4]) end
return 1
`,
  },
  leave_sink: {
    name: "leave_sink",
    caller: "member",
    keys: "stream",
    sha1: "e414d38eba47a2aeed57d903de2e74d6d8c64238",
    source: `#!lua flags=allow-oom
local call, ARGV, KEYS = redis.call, ARGV, KEYS
local byte, char, find, format, gsub, match, sub = string.byte, string.char, string.find, string.format, string.gsub, string.match, string.sub
local stream, sink, consumer, counter = KEYS[1], ARGV[2], ARGV[3], ARGV[4]
local log, counters = stream .. "l", stream .. "c:" .. sink
if counter ~= "" and call("HGET", counters, consumer) ~= counter then return 0 end
call("HDEL", counters, consumer)
call("HDEL", stream .. "r:" .. sink, consumer)
local groups = redis.pcall("XINFO", "GROUPS", log)
for _, group in ipairs(groups.err and {} or groups) do
  if group[2] == sink then
    while true do
      local held = call("XPENDING", log, sink, "-", "+", 500, consumer)
      if #held == 0 then break end
      for _, event in ipairs(held) do
        local claimed = call("XCLAIM", log, sink, "-", 0, event[1], "TIME", 1, "JUSTID")
        if #claimed == 0 then call("XACK", log, sink, event[1]) end
      end
    end
    call("XGROUP", "DELCONSUMER", log, sink, consumer)
  end
end
return 1
`,
  },
  link: {
    name: "link",
    caller: "client",
    keys: "shard…",
    sha1: "426fc9beb727bc28f865feb01c2b27c22217a0d9",
    source: `#!lua
local call, ARGV, KEYS = redis.call, ARGV, KEYS
local byte, char, find, format, gsub, match, sub = string.byte, string.char, string.find, string.format, string.gsub, string.match, string.sub
local function groups(handle)
  local replies, at = {}, 2
  for g = 1, #KEYS do
    if at > #ARGV then break end
    local last = at + tonumber(ARGV[at])
    local ok, reply = pcall(handle, KEYS[g], at + 1, last)
    if not ok then reply = "!" .. (type(reply) == "table" and tostring(reply.err) or tostring(reply)) end
    replies[g] = reply
    at = last + 1
  end
  return replies
end
local function parse(record)
  return match(record, "^(%a)%d*\\t([^\\t]*\\t[^\\t]*)\\t(%d*)\\t(%d*)\\t([^\\t]*)\\t([^\\t]*)\\t()")
end
local function run_of(ident)
  return match(ident, "^[^\\t]*")
end
local function add(shard, address, at)
  local link, limit, outbox_limit, dropped = ARGV[at], tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
  local key = shard .. "l:" .. address
  for n = at + 4, at + 3 + dropped do
    call("LREM", key, 1, ARGV[n])
  end
  if call("LPOS", key, link) then return "linked", false end
  if call("LLEN", key) >= limit then return "full", call("LRANGE", key, 0, -1) end
  if call("HLEN", shard .. "x") >= outbox_limit then return "full", false end
  call("RPUSH", key, link)
  call("SADD", shard .. "y", address)
  return "linked", false
end
return groups(function(shard, at, last)
  local replies = {}
  while at <= last do
    local address, run = ARGV[at], ARGV[at + 1]
    local stored = call("HGET", shard .. "r", address)
    local status, stored_run, detail = "absent", "", false
    if stored then
      local phase, ident = parse(stored)
      stored_run = run_of(ident)
      if run ~= "" and run ~= stored_run then
        status = "replaced"
      elseif phase == "e" then
        status, detail = "ended", stored
      else
        status, detail = add(shard, address, at + 2)
      end
    end
    local n = #replies
    replies[n + 1], replies[n + 2], replies[n + 3] = status, stored_run, detail
    at = at + 6 + ARGV[at + 5]
  end
  return replies
end)
`,
  },
  list: {
    name: "list",
    caller: "reader",
    keys: "shard",
    sha1: "34d3996b9f447a51720405383067e21d30b1ea8f",
    source: `#!lua flags=no-writes
local call, ARGV, KEYS = redis.call, ARGV, KEYS
local byte, char, find, format, gsub, match, sub = string.byte, string.char, string.find, string.format, string.gsub, string.match, string.sub
local page = call("HSCAN", KEYS[1] .. "r", ARGV[2], "COUNT", ARGV[3])
local reply, found = { page[1] }, page[2]
for n = 1, #found, 2 do
  if found[n] ~= "" then
    reply[#reply + 1] = found[n]
    reply[#reply + 1] = found[n + 1]
    reply[#reply + 1] = call("SISMEMBER", KEYS[1] .. "w", found[n])
  end
end
return reply
`,
  },
  mark_dead: {
    name: "mark_dead",
    caller: "member",
    keys: "settings members counters channel",
    sha1: "a80ccc483838baaa372d1f8a056a76fce32c2f10",
    source: `#!lua flags=allow-oom
local call, ARGV, KEYS = redis.call, ARGV, KEYS
local byte, char, find, format, gsub, match, sub = string.byte, string.char, string.find, string.format, string.gsub, string.match, string.sub
local function members_changed(settings, channel)
  local version = call("HINCRBY", settings, "members", 1)
  call("SPUBLISH", channel, tostring(version))
  return version
end
local counter = call("HGET", KEYS[3], ARGV[2])
if not counter then return 2 end
if counter ~= ARGV[3] then return 0 end
if ARGV[4] ~= "" and call("HGET", KEYS[2], ARGV[2]) ~= ARGV[4] then return 0 end
call("HDEL", KEYS[3], ARGV[2])
call("HDEL", KEYS[2], ARGV[2])
members_changed(KEYS[1], KEYS[4])
return 1
`,
  },
  members: {
    name: "members",
    caller: "reader",
    keys: "settings members",
    sha1: "482a3d95c4a783d0373ccfd5196dc54173379fcd",
    source: `#!lua flags=no-writes
local call, ARGV, KEYS = redis.call, ARGV, KEYS
local byte, char, find, format, gsub, match, sub = string.byte, string.char, string.find, string.format, string.gsub, string.match, string.sub
local reply = call("HGETALL", KEYS[2])
table.insert(reply, 1, call("HGET", KEYS[1], "members"))
return reply
`,
  },
  message: {
    name: "message",
    caller: "client",
    keys: "shard…",
    sha1: "880c9bf6fbf5553cf457298830a1549abf0c57ee",
    source: `#!lua
local call, ARGV, KEYS = redis.call, ARGV, KEYS
local byte, char, find, format, gsub, match, sub = string.byte, string.char, string.find, string.format, string.gsub, string.match, string.sub
local function groups(handle)
  local replies, at = {}, 2
  for g = 1, #KEYS do
    if at > #ARGV then break end
    local last = at + tonumber(ARGV[at])
    local ok, reply = pcall(handle, KEYS[g], at + 1, last)
    if not ok then reply = "!" .. (type(reply) == "table" and tostring(reply.err) or tostring(reply)) end
    replies[g] = reply
    at = last + 1
  end
  return replies
end
local function parse(record)
  return match(record, "^(%a)%d*\\t([^\\t]*\\t[^\\t]*)\\t(%d*)\\t(%d*)\\t([^\\t]*)\\t([^\\t]*)\\t()")
end
local function run_of(ident)
  return match(ident, "^[^\\t]*")
end
local function superseded(shard, controller, fence)
  local field = controller .. "\\tfence"
  local seen = call("HGET", shard .. "k", field)
  if seen and fence < seen then return true end
  if seen ~= fence then call("HSET", shard .. "k", field, fence) end
  return false
end
local function spec_of(control)
  return match(control, "^[^\\31]*\\31([^\\31]*)") or ""
end
local store_time
local function now()
  if store_time then return store_time end
  if ARGV[1] ~= "" then
    store_time = tonumber(ARGV[1])
  else
    local time = call("TIME")
    store_time = time[1] * 1000 + math.floor(time[2] / 1000)
  end
  return store_time
end
local function digest(shard, control, sign)
  local controller, first, second = match(control, "^([^\\31]*)\\31[^\\31]*\\31(%d+)\\31(%d+)$")
  local k = shard .. "k"
  call("HINCRBY", k, controller .. "\\tcount", sign .. "1")
  call("HINCRBY", k, controller .. "\\tfirst", first == "0" and first or sign .. first)
  call("HINCRBY", k, controller .. "\\tsecond", second == "0" and second or sign .. second)
end
local function is_on(on, kind, name)
  return kind ~= "s" or find(on, "\\31" .. name .. "\\31", 1, true) ~= nil
end
local function hint_ready(shard)
  local header = call("HGET", shard .. "r", "")
  local epoch = header and match(header, "\\t(%d+)\\t") or "0"
  call("SPUBLISH", shard .. "hint", "r\\t" .. epoch)
end
local function push_ready(shard, addresses)
  if call("RPUSH", shard .. "q", unpack(addresses)) == #addresses then hint_ready(shard) end
end
local since_text
local function since()
  since_text = since_text or format("%.0f", now())
  return since_text
end
local function accept(shard, address, stored, waiting, kind, name, id, payload, retention, control)
  local phase, ident, consumed, due, on, stored_control, body_at = parse(stored)
  local text = kind .. "\\t" .. name .. "\\t" .. id .. "\\t" .. format("%.0f", now()) .. "\\t" .. payload
  if waiting == 0 then call("SADD", shard .. "b", address) end
  local number = consumed + call("RPUSH", shard .. "i:" .. address, text)
  call("ZADD", shard .. "d", now() + retention, id)
  local active = call("SISMEMBER", shard .. "w", address) == 1
  local wakes = phase == "p" and not active and is_on(on, kind, name)
  if control and control ~= stored_control then
    if stored_control ~= "" then digest(shard, stored_control, "-") end
    digest(shard, control, "")
  end
  if wakes or control then
    local front = match(stored, "^%a%d*")
    if wakes then front, on = "r" .. since(), "" end
    local head = front .. "\\t" .. ident .. "\\t" .. consumed .. "\\t" .. due .. "\\t" .. on .. "\\t" .. (control or stored_control) .. "\\t"
    call("HSET", shard .. "r", address, head .. sub(stored, body_at))
  end
  if wakes then
    call("ZREM", shard .. "a", address)
    push_ready(shard, { address })
  elseif active then
    call("SPUBLISH", shard .. "hint", "m\\t" .. address .. "\\t" .. run_of(ident) .. "\\t" .. number .. "\\t" .. text)
  end
  return number
end
local function decide(shard, address, at, controller, fence, control, expected)
  local stored = call("HGET", shard .. "r", address)
  local phase, ident, consumed, _, _, stored_control = parse(stored or "")
  local run = ident and run_of(ident) or ""
  local id = ARGV[at + 4]
  if call("ZSCORE", shard .. "d", id) then
    return "duplicate", run, 0, call("HGET", shard .. "o", id)
  end
  if controller and superseded(shard, controller, fence) then return "fenced", run, 0, false end
  if not stored then return "absent", "", 0, false end
  if ARGV[at + 1] ~= "" and ARGV[at + 1] ~= run then return "replaced", run, 0, false end
  if phase == "e" then return "ended", run, 0, false end
  if expected and spec_of(stored_control) ~= expected then return "replaced", run, 0, false end
  local waiting = call("LLEN", shard .. "i:" .. address)
  if waiting >= tonumber(ARGV[at + 6]) then return "full", run, 0, false end
  local number = accept(shard, address, stored, waiting, ARGV[at + 2], ARGV[at + 3], id, ARGV[at + 5], ARGV[at + 7], control)
  return "accepted", run, number, false
end
return groups(function(shard, at, last)
  local replies = {}
  while at <= last do
    local item, mode = at, ARGV[at + 8]
    local controller, fence, control, expected
    at = at + 9
    if find(mode, "c", 1, true) then
      controller, fence, control = ARGV[at], ARGV[at + 1], ARGV[at + 2]
      at = at + 3
    end
    if find(mode, "s", 1, true) then
      expected = ARGV[at]
      at = at + 1
    end
    local n = #replies
    replies[n + 1], replies[n + 2], replies[n + 3], replies[n + 4] = decide(shard, ARGV[item], item, controller, fence, control, expected)
  end
  return replies
end)
`,
  },
  open_pool: {
    name: "open_pool",
    caller: "client",
    keys: "settings",
    sha1: "c7a788aab30e1a2fceffc9aa71a2da74deb9f6ab",
    source: `#!lua
local call, ARGV, KEYS = redis.call, ARGV, KEYS
local byte, char, find, format, gsub, match, sub = string.byte, string.char, string.find, string.format, string.gsub, string.match, string.sub
local store_time
local function now()
  if store_time then return store_time end
  if ARGV[1] ~= "" then
    store_time = tonumber(ARGV[1])
  else
    local time = call("TIME")
    store_time = time[1] * 1000 + math.floor(time[2] / 1000)
  end
  return store_time
end
call("HSETNX", KEYS[1], "shards", ARGV[2])
call("HSETNX", KEYS[1], "incarnation", ARGV[3])
local stored = call("HMGET", KEYS[1], "shards", "incarnation")
return { stored[1], stored[2], now() }
`,
  },
  pool_info: {
    name: "pool_info",
    caller: "reader",
    keys: "settings",
    sha1: "0e0ca1954d479db0fc1e3963fbabdc0673fd3837",
    source: `#!lua flags=no-writes
local call, ARGV, KEYS = redis.call, ARGV, KEYS
local byte, char, find, format, gsub, match, sub = string.byte, string.char, string.find, string.format, string.gsub, string.match, string.sub
local store_time
local function now()
  if store_time then return store_time end
  if ARGV[1] ~= "" then
    store_time = tonumber(ARGV[1])
  else
    local time = call("TIME")
    store_time = time[1] * 1000 + math.floor(time[2] / 1000)
  end
  return store_time
end
local stored = call("HMGET", KEYS[1], "shards", "incarnation")
return { stored[1], stored[2], now() }
`,
  },
  queues: {
    name: "queues",
    caller: "reader",
    keys: "shard…",
    sha1: "e592b56d14f1b43ad2dca5e2337ce4d0ea25d9e4",
    source: `#!lua flags=no-writes
local call, ARGV, KEYS = redis.call, ARGV, KEYS
local byte, char, find, format, gsub, match, sub = string.byte, string.char, string.find, string.format, string.gsub, string.match, string.sub
local store_time
local function now()
  if store_time then return store_time end
  if ARGV[1] ~= "" then
    store_time = tonumber(ARGV[1])
  else
    local time = call("TIME")
    store_time = time[1] * 1000 + math.floor(time[2] / 1000)
  end
  return store_time
end
local function groups(handle)
  local replies, at = {}, 2
  for g = 1, #KEYS do
    if at > #ARGV then break end
    local last = at + tonumber(ARGV[at])
    local ok, reply = pcall(handle, KEYS[g], at + 1, last)
    if not ok then reply = "!" .. (type(reply) == "table" and tostring(reply.err) or tostring(reply)) end
    replies[g] = reply
    at = last + 1
  end
  return replies
end
local function queue(shard)
  local ready, oldest = call("LLEN", shard .. "q"), ""
  if ready > 0 then
    local record = call("HGET", shard .. "r", call("LINDEX", shard .. "q", 0))
    oldest = record and match(record, "^%a(%d*)") or ""
  end
  local first, due = call("ZRANGEBYSCORE", shard .. "a", "(0", "+inf", "WITHSCORES", "LIMIT", 0, 1)[2], 0
  if first and tonumber(first) <= now() then
    due = call("ZCOUNT", shard .. "a", "(0", now())
    if oldest == "" or tonumber(first) < tonumber(oldest) then oldest = first end
  end
  return ready, due, oldest, first or ""
end
local replies = groups(function(shard)
  local ready, due, oldest = queue(shard)
  return { ready, due, oldest, call("SCARD", shard .. "w") }
end)
replies[#replies + 1] = now()
return replies
`,
  },
  read: {
    name: "read",
    caller: "reader",
    keys: "shard…",
    sha1: "1c44909abdb03a136638c78b88e3e001c08e512e",
    source: `#!lua flags=no-writes
local call, ARGV, KEYS = redis.call, ARGV, KEYS
local byte, char, find, format, gsub, match, sub = string.byte, string.char, string.find, string.format, string.gsub, string.match, string.sub
local function groups(handle)
  local replies, at = {}, 2
  for g = 1, #KEYS do
    if at > #ARGV then break end
    local last = at + tonumber(ARGV[at])
    local ok, reply = pcall(handle, KEYS[g], at + 1, last)
    if not ok then reply = "!" .. (type(reply) == "table" and tostring(reply.err) or tostring(reply)) end
    replies[g] = reply
    at = last + 1
  end
  return replies
end
local function load(shard, addresses, records, reply)
  local laden = call("SMISMEMBER", shard .. "b", unpack(addresses))
  for n = 1, #addresses do
    local run = addresses[n] .. "\\t" .. records[n]
    if laden[n] == 1 then
      run = { run, call("LRANGE", shard .. "i:" .. addresses[n], 0, -1), call("LRANGE", shard .. "j:" .. addresses[n], 0, -1) }
    end
    reply[#reply + 1] = run
  end
end
return groups(function(shard, at, last)
  local full = ARGV[at] == "1"
  local records = call("HMGET", shard .. "r", unpack(ARGV, at + 1, last))
  local active = call("SMISMEMBER", shard .. "w", unpack(ARGV, at + 1, last))
  local reply = {}
  for n = 1, #records do
    local found = {}
    if records[n] and full then load(shard, { ARGV[at + n] }, { records[n] }, found) end
    local lists = type(found[1]) == "table" and { found[1][2], found[1][3] } or ""
    reply[#reply + 1] = records[n]
    reply[#reply + 1] = active[n]
    reply[#reply + 1] = lists
  end
  return reply
end)
`,
  },
  read_map: {
    name: "read_map",
    caller: "reader",
    keys: "map",
    sha1: "da3866c52fb2e6d2014a4114184a970d511a1e29",
    source: `#!lua flags=no-writes
local call, ARGV, KEYS = redis.call, ARGV, KEYS
local byte, char, find, format, gsub, match, sub = string.byte, string.char, string.find, string.format, string.gsub, string.match, string.sub
local store_time
local function now()
  if store_time then return store_time end
  if ARGV[1] ~= "" then
    store_time = tonumber(ARGV[1])
  else
    local time = call("TIME")
    store_time = time[1] * 1000 + math.floor(time[2] / 1000)
  end
  return store_time
end
local meta = call("HMGET", KEYS[1] .. "m", "revision", "expiry")
local expiry = tonumber(meta[2] or 0)
local revision = meta[1] or "0"
if expiry > 0 and expiry <= now() then revision = "0" end
if revision == ARGV[2] then return { revision } end
local reply = revision == "0" and {} or call("HGETALL", KEYS[1] .. "e")
table.insert(reply, 1, revision)
table.insert(reply, 2, "")
return reply
`,
  },
  read_stream: {
    name: "read_stream",
    caller: "reader",
    keys: "stream",
    sha1: "6b7d47966dbdeec1021264c673ae92b1e1111941",
    source: `#!lua flags=no-writes
local call, ARGV, KEYS = redis.call, ARGV, KEYS
local byte, char, find, format, gsub, match, sub = string.byte, string.char, string.find, string.format, string.gsub, string.match, string.sub
local PAGE = 16
local function pages(found, limit, max_bytes, read)
  local bytes = 0
  for _, event in ipairs(found) do bytes = bytes + #event[2][4] end
  while #found < limit and bytes < max_bytes do
    local wanted = math.min(PAGE, limit - #found)
    local page = read(wanted)
    for _, event in ipairs(page) do
      found[#found + 1] = event
      bytes = bytes + #event[2][4]
    end
    if #page < wanted then break end
  end
end
local found, from = {}, ARGV[2] == "" and "-" or "(" .. ARGV[2]
pages(found, tonumber(ARGV[3]), tonumber(ARGV[4]), function(limit)
  local page = call("XRANGE", KEYS[1] .. "l", from, "+", "COUNT", limit)
  if #page > 0 then from = "(" .. page[#page][1] end
  return page
end)
local reply = {}
for _, event in ipairs(found) do
  reply[#reply + 1] = event[1]
  reply[#reply + 1] = event[2][2]
  reply[#reply + 1] = event[2][4]
end
return reply
`,
  },
  release: {
    name: "release",
    caller: "worker",
    keys: "shard…",
    sha1: "e2126b0dc21d4a3460fbaabc77f0d1f94813624e",
    source: `#!lua flags=allow-oom
local call, ARGV, KEYS = redis.call, ARGV, KEYS
local byte, char, find, format, gsub, match, sub = string.byte, string.char, string.find, string.format, string.gsub, string.match, string.sub
local store_time
local function now()
  if store_time then return store_time end
  if ARGV[1] ~= "" then
    store_time = tonumber(ARGV[1])
  else
    local time = call("TIME")
    store_time = time[1] * 1000 + math.floor(time[2] / 1000)
  end
  return store_time
end
local function groups(handle)
  local replies, at = {}, 2
  for g = 1, #KEYS do
    if at > #ARGV then break end
    local last = at + tonumber(ARGV[at])
    local ok, reply = pcall(handle, KEYS[g], at + 1, last)
    if not ok then reply = "!" .. (type(reply) == "table" and tostring(reply.err) or tostring(reply)) end
    replies[g] = reply
    at = last + 1
  end
  return replies
end
local function fence(shard, header)
  return call("HGET", shard .. "r", "") == header
end
local function append_audit(shard, keep, entry)
  local h = shard .. "h"
  local last = call("LINDEX", h, -1)
  local number = last and tonumber(match(last, "^%d+")) or 0
  call("RPUSH", h, format("%.0f", number + 1) .. "\\t" .. entry)
  if keep then call("LTRIM", h, -keep, -1) end
end
return groups(function(shard, at)
  local header, released = ARGV[at], ARGV[at + 1]
  if not fence(shard, header) then
    if fence(shard, released) then return "released" end
local KEPT = 16
local function refuse(shard, verb, writer)
  local h = shard .. "h"
  local session, epoch = match(writer, "^([^\\t]*)\\t(%d+)\\t")
  local time = format("%.0f", now())
  local who = epoch .. "\\t" .. session .. "\\t" .. verb .. "\\t"
  local recent = call("LRANGE", h, -KEPT, -1)
  local refusals, newest = 0, nil
  for n = #recent, 1, -1 do
    local start, was, header, count, last, others = match(recent[n], "^(%d+\\tx\\t%d+\\t)(%d+\\t[^\\t]*\\t%a+\\t)(%d+\\t[^\\t]*\\t)(%d+)\\t(%d+)\\t(%d+)$")
    if not start then break end
    refusals = refusals + 1
    if was == who then
      call("LSET", h, n - #recent - 1, start .. was .. header .. (count + 1) .. "\\t" .. time .. "\\t" .. others)
      return "stale"
    end
    newest = newest or start .. was .. header .. count .. "\\t" .. last .. "\\t" .. (others + 1)
  end
  if refusals == KEPT then
    call("LSET", h, -1, newest)
    return "stale"
  end
  local owner, owned = match(call("HGET", shard .. "r", "") or "", "^([^\\t]*)\\t(%d+)\\t")
  append_audit(shard, nil, "x\\t" .. time .. "\\t" .. who .. (owned or "0") .. "\\t" .. (owner or "") .. "\\t1\\t" .. time .. "\\t0")
  return "stale"
end
    return refuse(shard, "release", header)
  end
  call("HSET", shard .. "r", "", released)
  local session = match(header, "^[^\\t]*")
  append_audit(shard, ARGV[at + 3], table.concat({ "l", format("%.0f", now()), ARGV[at + 2], session, ARGV[at + 4] }, "\\t"))
  call("SPUBLISH", shard .. "hint", "l\\t" .. ARGV[at + 2])
  return "released"
end)
`,
  },
  renew: {
    name: "renew",
    caller: "member",
    keys: "settings counters",
    sha1: "ccaf0a1f35ec0711fc7ccab57e11ea628e03a8c0",
    source: `#!lua flags=allow-oom
local call, ARGV, KEYS = redis.call, ARGV, KEYS
local byte, char, find, format, gsub, match, sub = string.byte, string.char, string.find, string.format, string.gsub, string.match, string.sub
local store_time
local function now()
  if store_time then return store_time end
  if ARGV[1] ~= "" then
    store_time = tonumber(ARGV[1])
  else
    local time = call("TIME")
    store_time = time[1] * 1000 + math.floor(time[2] / 1000)
  end
  return store_time
end
local alive = 0
if ARGV[2] ~= "" and call("HEXISTS", KEYS[2], ARGV[2]) == 1 then
  call("HINCRBY", KEYS[2], ARGV[2], 1)
  alive = 1
end
local versions = call("HMGET", KEYS[1], "members", "assignment", "incarnation")
local reply = { alive, now(), versions[1], versions[2], versions[3] }
local counters = call("HGETALL", KEYS[2])
for n = 1, #counters do reply[5 + n] = counters[n] end
return reply
`,
  },
  start: {
    name: "start",
    caller: "client",
    keys: "shard…",
    sha1: "6c466cff466ad9db5d2dbb4d86878162a8a4dadd",
    source: `#!lua
local call, ARGV, KEYS = redis.call, ARGV, KEYS
local byte, char, find, format, gsub, match, sub = string.byte, string.char, string.find, string.format, string.gsub, string.match, string.sub
local store_time
local function now()
  if store_time then return store_time end
  if ARGV[1] ~= "" then
    store_time = tonumber(ARGV[1])
  else
    local time = call("TIME")
    store_time = time[1] * 1000 + math.floor(time[2] / 1000)
  end
  return store_time
end
local function groups(handle)
  local replies, at = {}, 2
  for g = 1, #KEYS do
    if at > #ARGV then break end
    local last = at + tonumber(ARGV[at])
    local ok, reply = pcall(handle, KEYS[g], at + 1, last)
    if not ok then reply = "!" .. (type(reply) == "table" and tostring(reply.err) or tostring(reply)) end
    replies[g] = reply
    at = last + 1
  end
  return replies
end
local function parse(record)
  return match(record, "^(%a)%d*\\t([^\\t]*\\t[^\\t]*)\\t(%d*)\\t(%d*)\\t([^\\t]*)\\t([^\\t]*)\\t()")
end
local function run_of(ident)
  return match(ident, "^[^\\t]*")
end
local function superseded(shard, controller, fence)
  local field = controller .. "\\tfence"
  local seen = call("HGET", shard .. "k", field)
  if seen and fence < seen then return true end
  if seen ~= fence then call("HSET", shard .. "k", field, fence) end
  return false
end
local function digest(shard, control, sign)
  local controller, first, second = match(control, "^([^\\31]*)\\31[^\\31]*\\31(%d+)\\31(%d+)$")
  local k = shard .. "k"
  call("HINCRBY", k, controller .. "\\tcount", sign .. "1")
  call("HINCRBY", k, controller .. "\\tfirst", first == "0" and first or sign .. first)
  call("HINCRBY", k, controller .. "\\tsecond", second == "0" and second or sign .. second)
end
local function hint_ready(shard)
  local header = call("HGET", shard .. "r", "")
  local epoch = header and match(header, "\\t(%d+)\\t") or "0"
  call("SPUBLISH", shard .. "hint", "r\\t" .. epoch)
end
local function push_ready(shard, addresses)
  if call("RPUSH", shard .. "q", unpack(addresses)) == #addresses then hint_ready(shard) end
end
local since_text
local function since()
  since_text = since_text or format("%.0f", now())
  return since_text
end
local HSETNX, DELAYED, TAB = "HSETNX", 100, 9
local function is_earliest(shard, delayed)
  local first = call("ZRANGEBYSCORE", shard .. "a", "(0", "+inf", "LIMIT", 0, 1)[1]
  return delayed[first] ~= nil
end
local function run_in(record)
  return match(record, "^%a%d*\\t([^\\t]*)")
end
local replies = groups(function(shard, at, last)
  local r, now_ready = shard .. "r", "r" .. since()
  local ready, delayed = {}, nil
  local count, replies = 0, nil
  while at <= last do
    local address, record, mode = ARGV[at], ARGV[at + 1], nil
    at = at + 2
    if byte(record) ~= TAB then mode, record = match(record, "^(%a+)(.*)") end
    local due, control, refused, known, remember, signal
    if mode == nil or byte(mode) ~= DELAYED then record = now_ready .. record end
    if mode then
      if byte(mode) == DELAYED then
        due = now() + ARGV[at]
        record = "p" .. record .. format("%.0f", due) .. ARGV[at + 1]
        at = at + 2
      end
      if find(mode, "c", 1, true) then
        refused = superseded(shard, ARGV[at], ARGV[at + 1])
        control = ARGV[at + 2]
        at = at + 3
      end
      if find(mode, "q", 1, true) then
        remember, at = tonumber(ARGV[at]), at + 1
        known = call("ZSCORE", shard .. "d", run_in(record))
      end
      if find(mode, "m", 1, true) then
        signal, at = at, at + 6
      end
    end
    local reply
    if refused then
      reply = "f"
    elseif known then
      reply = call("HGET", shard .. "o", run_in(record)) == "forbidden" and "n" or "s"
    elseif call(HSETNX, r, address, record) == 1 then
      reply = 1
    else
      local stored = call("HGET", r, address)
      local phase, ident = parse(stored)
      local run = run_of(ident)
      if run == run_in(record) then
        reply = "s"
      elseif phase ~= "e" then
        reply = "r" .. run
      elseif mode and find(mode, "x", 1, true) then
        reply = "e" .. run
      else
        call("HSET", r, address, record)
        call("ZREM", shard .. "a", address)
        reply = 1
      end
    end
    if reply == 1 then
      if remember then call("ZADD", shard .. "d", now() + remember, run_in(record)) end
      if control then digest(shard, control, "") end
      if due then
        call("ZADD", shard .. "a", due, address)
        delayed = delayed or {}
        delayed[address] = true
      else
        ready[#ready + 1] = address
      end
    end
    if signal then
local function is_on(on, kind, name)
  return kind ~= "s" or find(on, "\\31" .. name .. "\\31", 1, true) ~= nil
end
local function accept(shard, address, stored, waiting, kind, name, id, payload, retention, control)
  local phase, ident, consumed, due, on, stored_control, body_at = parse(stored)
  local text = kind .. "\\t" .. name .. "\\t" .. id .. "\\t" .. format("%.0f", now()) .. "\\t" .. payload
  if waiting == 0 then call("SADD", shard .. "b", address) end
  local number = consumed + call("RPUSH", shard .. "i:" .. address, text)
  call("ZADD", shard .. "d", now() + retention, id)
  local active = call("SISMEMBER", shard .. "w", address) == 1
  local wakes = phase == "p" and not active and is_on(on, kind, name)
  if control and control ~= stored_control then
    if stored_control ~= "" then digest(shard, stored_control, "-") end
    digest(shard, control, "")
  end
  if wakes or control then
    local front = match(stored, "^%a%d*")
    if wakes then front, on = "r" .. since(), "" end
    local head = front .. "\\t" .. ident .. "\\t" .. consumed .. "\\t" .. due .. "\\t" .. on .. "\\t" .. (control or stored_control) .. "\\t"
    call("HSET", shard .. "r", address, head .. sub(stored, body_at))
  end
  if wakes then
    call("ZREM", shard .. "a", address)
    push_ready(shard, { address })
  elseif active then
    call("SPUBLISH", shard .. "hint", "m\\t" .. address .. "\\t" .. run_of(ident) .. "\\t" .. number .. "\\t" .. text)
  end
  return number
end
local function first_signal(shard, address, reply, run, at)
  local running = type(reply) == "string" and match(reply, "^r(.*)")
  if running and ARGV[at + 5] == "1" then
    run = running
  elseif reply ~= 1 and reply ~= "s" then
    return ""
  end
  local id = ARGV[at + 1]
  if call("ZSCORE", shard .. "d", id) then return "duplicate" end
  local stored = call("HGET", shard .. "r", address)
  if not stored then return "absent" end
  local phase, ident = parse(stored)
  if run_of(ident) ~= run then return "replaced" end
  if phase == "e" then return "ended" end
  local waiting = call("LLEN", shard .. "i:" .. address)
  if waiting >= tonumber(ARGV[at + 3]) then return "full" end
  accept(shard, address, stored, waiting, "s", ARGV[at], id, ARGV[at + 2], ARGV[at + 4])
  return "accepted"
end
      reply = { reply, first_signal(shard, address, reply, run_in(record), signal) }
    end
    count = count + 1
    if reply ~= 1 and not replies then
      replies = {}
      for n = 1, count - 1 do replies[n] = 1 end
    end
    if replies then replies[count] = reply end
  end
  if #ready > 0 then push_ready(shard, ready) end
  if delayed and is_earliest(shard, delayed) then hint_ready(shard) end
  return replies or 1
end)
for g = 1, #replies do
  if replies[g] ~= 1 then return replies end
end
return 1
`,
  },
  sweep: {
    name: "sweep",
    caller: "reader",
    keys: "shard…",
    sha1: "dbdeadc75c782ab79e45c0e3d80436e8a1c3b748",
    source: `#!lua flags=no-writes
local call, ARGV, KEYS = redis.call, ARGV, KEYS
local byte, char, find, format, gsub, match, sub = string.byte, string.char, string.find, string.format, string.gsub, string.match, string.sub
local store_time
local function now()
  if store_time then return store_time end
  if ARGV[1] ~= "" then
    store_time = tonumber(ARGV[1])
  else
    local time = call("TIME")
    store_time = time[1] * 1000 + math.floor(time[2] / 1000)
  end
  return store_time
end
local function groups(handle)
  local replies, at = {}, 2
  for g = 1, #KEYS do
    if at > #ARGV then break end
    local last = at + tonumber(ARGV[at])
    local ok, reply = pcall(handle, KEYS[g], at + 1, last)
    if not ok then reply = "!" .. (type(reply) == "table" and tostring(reply.err) or tostring(reply)) end
    replies[g] = reply
    at = last + 1
  end
  return replies
end
local function queue(shard)
  local ready, oldest = call("LLEN", shard .. "q"), ""
  if ready > 0 then
    local record = call("HGET", shard .. "r", call("LINDEX", shard .. "q", 0))
    oldest = record and match(record, "^%a(%d*)") or ""
  end
  local first, due = call("ZRANGEBYSCORE", shard .. "a", "(0", "+inf", "WITHSCORES", "LIMIT", 0, 1)[2], 0
  if first and tonumber(first) <= now() then
    due = call("ZCOUNT", shard .. "a", "(0", now())
    if oldest == "" or tonumber(first) < tonumber(oldest) then oldest = first end
  end
  return ready, due, oldest, first or ""
end
local replies = groups(function(shard)
  local reply = call("SMEMBERS", shard .. "w")
  local ready, due, oldest, next_due = queue(shard)
  table.insert(reply, 1, call("HGET", shard .. "r", ""))
  table.insert(reply, 2, ready)
  table.insert(reply, 3, due)
  table.insert(reply, 4, oldest)
  table.insert(reply, 5, next_due)
  table.insert(reply, 6, call("HLEN", shard .. "x"))
  return reply
end)
replies[#replies + 1] = now()
return replies
`,
  },
  take: {
    name: "take",
    caller: "worker",
    keys: "shard…",
    sha1: "9f57691e8aca97aeb471e5e1d5004d1c272e5cee",
    source: `#!lua flags=allow-oom
local call, ARGV, KEYS = redis.call, ARGV, KEYS
local byte, char, find, format, gsub, match, sub = string.byte, string.char, string.find, string.format, string.gsub, string.match, string.sub
local store_time
local function now()
  if store_time then return store_time end
  if ARGV[1] ~= "" then
    store_time = tonumber(ARGV[1])
  else
    local time = call("TIME")
    store_time = time[1] * 1000 + math.floor(time[2] / 1000)
  end
  return store_time
end
local function groups(handle)
  local replies, at = {}, 2
  for g = 1, #KEYS do
    if at > #ARGV then break end
    local last = at + tonumber(ARGV[at])
    local ok, reply = pcall(handle, KEYS[g], at + 1, last)
    if not ok then reply = "!" .. (type(reply) == "table" and tostring(reply.err) or tostring(reply)) end
    replies[g] = reply
    at = last + 1
  end
  return replies
end
local function fence(shard, header)
  return call("HGET", shard .. "r", "") == header
end
local function load(shard, addresses, records, reply)
  local laden = call("SMISMEMBER", shard .. "b", unpack(addresses))
  for n = 1, #addresses do
    local run = addresses[n] .. "\\t" .. records[n]
    if laden[n] == 1 then
      run = { run, call("LRANGE", shard .. "i:" .. addresses[n], 0, -1), call("LRANGE", shard .. "j:" .. addresses[n], 0, -1) }
    end
    reply[#reply + 1] = run
  end
end
local ENDED = byte("e")
local function take_due(shard, limit, fresh)
  local found = call("ZRANGEBYSCORE", shard .. "a", "(0", "+inf", "WITHSCORES", "LIMIT", 0, limit + 1)
  local due, next_due, more = {}, "", 0
  for n = 1, #found, 2 do
    if tonumber(found[n + 1]) > now() then
      next_due = found[n + 1]
      break
    elseif #due == limit then
      more = 1
    else
      due[#due + 1] = found[n]
      fresh[#fresh + 1] = found[n]
    end
  end
  if #due > 0 then call("ZREM", shard .. "a", unpack(due)) end
  return next_due, more
end
local replies = groups(function(shard, at, last)
  if not fence(shard, ARGV[at]) then
local function append_audit(shard, keep, entry)
  local h = shard .. "h"
  local last = call("LINDEX", h, -1)
  local number = last and tonumber(match(last, "^%d+")) or 0
  call("RPUSH", h, format("%.0f", number + 1) .. "\\t" .. entry)
  if keep then call("LTRIM", h, -keep, -1) end
end
local KEPT = 16
local function refuse(shard, verb, writer)
  local h = shard .. "h"
  local session, epoch = match(writer, "^([^\\t]*)\\t(%d+)\\t")
  local time = format("%.0f", now())
  local who = epoch .. "\\t" .. session .. "\\t" .. verb .. "\\t"
  local recent = call("LRANGE", h, -KEPT, -1)
  local refusals, newest = 0, nil
  for n = #recent, 1, -1 do
    local start, was, header, count, last, others = match(recent[n], "^(%d+\\tx\\t%d+\\t)(%d+\\t[^\\t]*\\t%a+\\t)(%d+\\t[^\\t]*\\t)(%d+)\\t(%d+)\\t(%d+)$")
    if not start then break end
    refusals = refusals + 1
    if was == who then
      call("LSET", h, n - #recent - 1, start .. was .. header .. (count + 1) .. "\\t" .. time .. "\\t" .. others)
      return "stale"
    end
    newest = newest or start .. was .. header .. count .. "\\t" .. last .. "\\t" .. (others + 1)
  end
  if refusals == KEPT then
    call("LSET", h, -1, newest)
    return "stale"
  end
  local owner, owned = match(call("HGET", shard .. "r", "") or "", "^([^\\t]*)\\t(%d+)\\t")
  append_audit(shard, nil, "x\\t" .. time .. "\\t" .. who .. (owned or "0") .. "\\t" .. (owner or "") .. "\\t1\\t" .. time .. "\\t0")
  return "stale"
end
    return refuse(shard, "take", ARGV[at])
  end
  local limit = tonumber(ARGV[at + 1])
  local r, w, q = shard .. "r", shard .. "w", shard .. "q"
  local wanted = {}
  if last > at + 2 then
    local active = call("SMISMEMBER", w, unpack(ARGV, at + 3, last))
    for n = 1, #active do
      if active[n] == 1 then wanted[#wanted + 1] = ARGV[at + 2 + n] end
    end
  end
  local fresh, more, next_due = {}, 0, ""
  if ARGV[at + 2] == "1" then next_due, more = take_due(shard, limit, fresh) end
  local room = limit - #fresh
  local popped = room > 0 and call("LPOP", q, room) or {}
  for n = 1, #popped do fresh[#fresh + 1] = popped[n] end
  if #popped == room and call("LLEN", q) > 0 then more = 1 end
  local reply = { more, next_due }
  local again = #wanted
  for n = 1, #fresh do wanted[again + n] = fresh[n] end
  if #wanted == 0 then return reply end
  local records = call("HMGET", r, unpack(wanted))
  local addresses, live, taken = {}, {}, {}
  for n = 1, #wanted do
    if records[n] and byte(records[n]) ~= ENDED then
      addresses[#addresses + 1] = wanted[n]
      live[#live + 1] = records[n]
      if n > again then taken[#taken + 1] = wanted[n] end
    end
  end
  if #taken > 0 then call("SADD", w, unpack(taken)) end
  if #addresses > 0 then load(shard, addresses, live, reply) end
  return reply
end)
replies[#replies + 1] = now()
return replies
`,
  },
  take_events: {
    name: "take_events",
    caller: "member",
    keys: "stream",
    sha1: "67a2fd063866715672c663b79450276fa38a70b3",
    source: `#!lua flags=allow-oom
local call, ARGV, KEYS = redis.call, ARGV, KEYS
local byte, char, find, format, gsub, match, sub = string.byte, string.char, string.find, string.format, string.gsub, string.match, string.sub
local store_time
local function now()
  if store_time then return store_time end
  if ARGV[1] ~= "" then
    store_time = tonumber(ARGV[1])
  else
    local time = call("TIME")
    store_time = time[1] * 1000 + math.floor(time[2] / 1000)
  end
  return store_time
end
local PAGE = 16
local function pages(found, limit, max_bytes, read)
  local bytes = 0
  for _, event in ipairs(found) do bytes = bytes + #event[2][4] end
  while #found < limit and bytes < max_bytes do
    local wanted = math.min(PAGE, limit - #found)
    local page = read(wanted)
    for _, event in ipairs(page) do
      found[#found + 1] = event
      bytes = bytes + #event[2][4]
    end
    if #page < wanted then break end
  end
end
local function shift()
  if ARGV[1] == "" then return 0 end
  local time = call("TIME")
  return time[1] * 1000 + math.floor(time[2] / 1000) - now()
end
local function date_deliveries(log, sink, consumer, events)
  if ARGV[1] == "" then return end
  for _, event in ipairs(events) do
    call("XCLAIM", log, sink, consumer, 0, event[1], "TIME", format("%.0f", now()), "JUSTID")
  end
end
local stream, sink, consumer, request = KEYS[1], ARGV[2], ARGV[3], ARGV[4]
local log, takes = stream .. "l", stream .. "r:" .. sink
if call("HEXISTS", stream .. "c:" .. sink, consumer) == 0 then return "removed" end
local limit, max_bytes, grace = tonumber(ARGV[5]), tonumber(ARGV[6]), ARGV[7]
local found = {}
local SINCE_1970 = 1000
local function again(ids)
  for id in string.gmatch(ids, "%S+") do
    local event = call("XRANGE", log, id, id)[1]
    if event then found[#found + 1] = event end
  end
end
local function reclaim()
  local cursor = call("HGET", takes, "") or "0"
  local idle = grace == "0" and now() + shift() - SINCE_1970 or math.max(0, grace + shift())
  local ended = false
  pages(found, limit, max_bytes, function(wanted)
    if ended then return {} end
    local page = call("XAUTOCLAIM", log, sink, consumer, format("%.0f", idle), cursor, "COUNT", wanted)
    cursor = page[1]
    ended = cursor == "0-0"
    return page[2]
  end)
  call("HSET", takes, "", cursor)
end
local last = call("HGET", takes, consumer)
local known, ids = match(last or "", "^(%S*) ?(.*)$")
if last and known == request then
  again(ids)
else
  if grace ~= "" then reclaim() end
  pages(found, limit, max_bytes, function(wanted)
    local page = call("XREADGROUP", "GROUP", sink, consumer, "COUNT", wanted, "STREAMS", log, ">")
    return page and page[1][2] or {}
  end)
  date_deliveries(log, sink, consumer, found)
  local words = { request }
  for _, event in ipairs(found) do words[#words + 1] = event[1] end
  call("HSET", takes, consumer, table.concat(words, " "))
end
local reply = {}
for _, event in ipairs(found) do
  local pending = call("XPENDING", log, sink, event[1], event[1], 1)[1]
  reply[#reply + 1] = event[1]
  reply[#reply + 1] = event[2][2]
  reply[#reply + 1] = event[2][4]
  reply[#reply + 1] = pending and pending[4] or 0
end
return reply
`,
  },
  terminate: {
    name: "terminate",
    caller: "client",
    keys: "shard…",
    sha1: "530bff3e255c587eda6a4cd2a01544e96e22650f",
    source: `#!lua
local call, ARGV, KEYS = redis.call, ARGV, KEYS
local byte, char, find, format, gsub, match, sub = string.byte, string.char, string.find, string.format, string.gsub, string.match, string.sub
local store_time
local function now()
  if store_time then return store_time end
  if ARGV[1] ~= "" then
    store_time = tonumber(ARGV[1])
  else
    local time = call("TIME")
    store_time = time[1] * 1000 + math.floor(time[2] / 1000)
  end
  return store_time
end
local function groups(handle)
  local replies, at = {}, 2
  for g = 1, #KEYS do
    if at > #ARGV then break end
    local last = at + tonumber(ARGV[at])
    local ok, reply = pcall(handle, KEYS[g], at + 1, last)
    if not ok then reply = "!" .. (type(reply) == "table" and tostring(reply.err) or tostring(reply)) end
    replies[g] = reply
    at = last + 1
  end
  return replies
end
local function parse(record)
  return match(record, "^(%a)%d*\\t([^\\t]*\\t[^\\t]*)\\t(%d*)\\t(%d*)\\t([^\\t]*)\\t([^\\t]*)\\t()")
end
local function run_of(ident)
  return match(ident, "^[^\\t]*")
end
local function superseded(shard, controller, fence)
  local field = controller .. "\\tfence"
  local seen = call("HGET", shard .. "k", field)
  if seen and fence < seen then return true end
  if seen ~= fence then call("HSET", shard .. "k", field, fence) end
  return false
end
local function spec_of(control)
  return match(control, "^[^\\31]*\\31([^\\31]*)") or ""
end
local function digest(shard, control, sign)
  local controller, first, second = match(control, "^([^\\31]*)\\31[^\\31]*\\31(%d+)\\31(%d+)$")
  local k = shard .. "k"
  call("HINCRBY", k, controller .. "\\tcount", sign .. "1")
  call("HINCRBY", k, controller .. "\\tfirst", first == "0" and first or sign .. first)
  call("HINCRBY", k, controller .. "\\tsecond", second == "0" and second or sign .. second)
end
local function release_links(shard, address, run, outcome)
  if call("SREM", shard .. "y", address) == 0 then return end
  local key = shard .. "l:" .. address
  local links = call("LRANGE", key, 0, -1)
  for n = 1, #links do
    call("HSET", shard .. "x", address .. "\\t" .. run .. "\\t" .. links[n], outcome)
  end
  call("DEL", key)
  call("SPUBLISH", shard .. "hint", "x")
end
local function decide(shard, at, fenced, expected)
  local address, run, revision = ARGV[at], ARGV[at + 1], ARGV[at + 2]
  local stored = call("HGET", shard .. "r", address)
  if not stored then return fenced and "fenced" or "absent", "" end
  local phase, ident, consumed, _, _, control, body_at = parse(stored)
  local stored_run = run_of(ident)
  if fenced then return "fenced", stored_run end
  if run ~= "" and run ~= stored_run then return "replaced", stored_run end
  local new_ident = stored_run .. "\\t" .. revision
  if phase == "e" then return ident == new_ident and "terminated" or "ended", stored_run end
  if expected and spec_of(control) ~= expected then return "replaced", stored_run end
  local head = "e\\t" .. new_ident .. "\\t" .. consumed .. "\\t" .. ARGV[at + 3] .. "\\t\\t" .. control .. "\\t"
  call("HSET", shard .. "r", address, head .. ARGV[at + 4] .. sub(stored, body_at))
  call("ZADD", shard .. "a", -(now() + ARGV[at + 5]), address)
  if call("SREM", shard .. "b", address) == 1 then call("DEL", shard .. "i:" .. address, shard .. "j:" .. address) end
  release_links(shard, address, stored_run, ARGV[at + 4])
  if control ~= "" then digest(shard, control, "-") end
  if call("SREM", shard .. "w", address) == 1 then
    call("SPUBLISH", shard .. "hint", "t\\t" .. address .. "\\t" .. stored_run)
  elseif phase == "r" then
    call("LREM", shard .. "q", 1, address)
  end
  return "terminated", stored_run
end
return groups(function(shard, at, last)
  local replies, events = {}, {}
  while at <= last do
    local item, mode = at, ARGV[at + 6]
    local fenced, expected
    at = at + 7
    if find(mode, "c", 1, true) then
      fenced = superseded(shard, ARGV[at], ARGV[at + 1])
      at = at + 2
    end
    if find(mode, "s", 1, true) then
      expected = ARGV[at]
      at = at + 1
    end
    local status, run = decide(shard, item, fenced, expected)
    if status == "terminated" then events[#events + 1] = "e\\t" .. ARGV[item] .. "\\t" .. run end
    replies[#replies + 1] = status
    replies[#replies + 1] = run
  end
  if #events > 0 then call("SPUBLISH", shard .. "event", table.concat(events, "\\n")) end
  return replies
end)
`,
  },
  trim: {
    name: "trim",
    caller: "worker",
    keys: "shard…",
    sha1: "72f11c97a2cbe1a8d4c3ce4b05d60d8d0adaab3b",
    source: `#!lua flags=allow-oom
local call, ARGV, KEYS = redis.call, ARGV, KEYS
local byte, char, find, format, gsub, match, sub = string.byte, string.char, string.find, string.format, string.gsub, string.match, string.sub
local store_time
local function now()
  if store_time then return store_time end
  if ARGV[1] ~= "" then
    store_time = tonumber(ARGV[1])
  else
    local time = call("TIME")
    store_time = time[1] * 1000 + math.floor(time[2] / 1000)
  end
  return store_time
end
local function groups(handle)
  local replies, at = {}, 2
  for g = 1, #KEYS do
    if at > #ARGV then break end
    local last = at + tonumber(ARGV[at])
    local ok, reply = pcall(handle, KEYS[g], at + 1, last)
    if not ok then reply = "!" .. (type(reply) == "table" and tostring(reply.err) or tostring(reply)) end
    replies[g] = reply
    at = last + 1
  end
  return replies
end
local function fence(shard, header)
  return call("HGET", shard .. "r", "") == header
end
return groups(function(shard, at)
  if not fence(shard, ARGV[at]) then
local function append_audit(shard, keep, entry)
  local h = shard .. "h"
  local last = call("LINDEX", h, -1)
  local number = last and tonumber(match(last, "^%d+")) or 0
  call("RPUSH", h, format("%.0f", number + 1) .. "\\t" .. entry)
  if keep then call("LTRIM", h, -keep, -1) end
end
local KEPT = 16
local function refuse(shard, verb, writer)
  local h = shard .. "h"
  local session, epoch = match(writer, "^([^\\t]*)\\t(%d+)\\t")
  local time = format("%.0f", now())
  local who = epoch .. "\\t" .. session .. "\\t" .. verb .. "\\t"
  local recent = call("LRANGE", h, -KEPT, -1)
  local refusals, newest = 0, nil
  for n = #recent, 1, -1 do
    local start, was, header, count, last, others = match(recent[n], "^(%d+\\tx\\t%d+\\t)(%d+\\t[^\\t]*\\t%a+\\t)(%d+\\t[^\\t]*\\t)(%d+)\\t(%d+)\\t(%d+)$")
    if not start then break end
    refusals = refusals + 1
    if was == who then
      call("LSET", h, n - #recent - 1, start .. was .. header .. (count + 1) .. "\\t" .. time .. "\\t" .. others)
      return "stale"
    end
    newest = newest or start .. was .. header .. count .. "\\t" .. last .. "\\t" .. (others + 1)
  end
  if refusals == KEPT then
    call("LSET", h, -1, newest)
    return "stale"
  end
  local owner, owned = match(call("HGET", shard .. "r", "") or "", "^([^\\t]*)\\t(%d+)\\t")
  append_audit(shard, nil, "x\\t" .. time .. "\\t" .. who .. (owned or "0") .. "\\t" .. (owner or "") .. "\\t1\\t" .. time .. "\\t0")
  return "stale"
end
    return refuse(shard, "trim", ARGV[at])
  end
  local limit = tonumber(ARGV[at + 1])
  local ended = call("ZREVRANGEBYSCORE", shard .. "a", "(0", -now(), "LIMIT", 0, limit)
  if #ended > 0 then
    call("HDEL", shard .. "r", unpack(ended))
    call("ZREM", shard .. "a", unpack(ended))
  end
  local ids = call("ZRANGEBYSCORE", shard .. "d", "-inf", now(), "LIMIT", 0, limit - #ended)
  if #ids > 0 then
    call("ZREM", shard .. "d", unpack(ids))
    call("HDEL", shard .. "o", unpack(ids))
  end
  return { #ended + #ids }
end)
`,
  },
  trim_stream: {
    name: "trim_stream",
    caller: "member",
    keys: "stream",
    sha1: "d1625afa7ca0d0688127885610078a4d3792a843",
    source: `#!lua flags=allow-oom
local call, ARGV, KEYS = redis.call, ARGV, KEYS
local byte, char, find, format, gsub, match, sub = string.byte, string.char, string.find, string.format, string.gsub, string.match, string.sub
local store_time
local function now()
  if store_time then return store_time end
  if ARGV[1] ~= "" then
    store_time = tonumber(ARGV[1])
  else
    local time = call("TIME")
    store_time = time[1] * 1000 + math.floor(time[2] / 1000)
  end
  return store_time
end
local function trim_stream(log, max_length, max_age)
  call("XTRIM", log, "MAXLEN", max_length)
  local oldest = now() - max_age
  if oldest > 0 then call("XTRIM", log, "MINID", format("%.0f", oldest)) end
end
trim_stream(KEYS[1] .. "l", ARGV[2], ARGV[3])
return 1
`,
  },
  update_member: {
    name: "update_member",
    caller: "member",
    keys: "settings members counters channel",
    sha1: "0f14da125e2096241881b7f08d945c0da9f683ee",
    source: `#!lua flags=allow-oom
local call, ARGV, KEYS = redis.call, ARGV, KEYS
local byte, char, find, format, gsub, match, sub = string.byte, string.char, string.find, string.format, string.gsub, string.match, string.sub
local function members_changed(settings, channel)
  local version = call("HINCRBY", settings, "members", 1)
  call("SPUBLISH", channel, tostring(version))
  return version
end
if call("HEXISTS", KEYS[3], ARGV[2]) == 0 then return 0 end
local stored = call("HGET", KEYS[2], ARGV[2])
if stored ~= ARGV[3] then
  if ARGV[4] ~= "" and stored ~= ARGV[4] then return 0 end
  call("HSET", KEYS[2], ARGV[2], ARGV[3])
  members_changed(KEYS[1], KEYS[4])
end
return 1
`,
  },
} as const satisfies Record<string, Script>
