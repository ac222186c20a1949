--- name:   read
--- caller: reader
--- keys:   shard…
--- args:   now; per shard: size, full ("1": with inbox and journal), addresses
--- reply:  per shard: per run: record|nil active [inbox, journal]|""
--- include "groups" "load"
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
