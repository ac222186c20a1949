--- name:   change_map
--- caller: client
--- keys:   map
--- args:   now; per write: size id retention keep max_entries max_bytes, then per operation, by its letter:
---         s key value | c key expects expected sets value | a u r key count item… | i key by | d key | x ""
--- reply:  per write: "ok" or "same" revision value… | "conflict" or "mistyped" revision at value | "full" revision
--- include "now" "items_of" "forget_requests" "remember_request"
--- Each write is staged whole before anything is written, because a script cannot roll back. Values of s, c, d and x are not answered: the
--- caller knows them.
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
