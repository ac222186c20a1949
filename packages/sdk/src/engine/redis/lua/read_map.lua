--- name:   read_map
--- caller: reader
--- keys:   map
--- args:   now known_revision
--- reply:  revision | revision key value …
--- include "now"
local meta = call("HMGET", KEYS[1] .. "m", "revision", "expiry")
local expiry = tonumber(meta[2] or 0)
local revision = meta[1] or "0"
if expiry > 0 and expiry <= now() then revision = "0" end
if revision == ARGV[2] then return { revision } end
local reply = revision == "0" and {} or call("HGETALL", KEYS[1] .. "e")
table.insert(reply, 1, revision)
table.insert(reply, 2, "")
return reply
