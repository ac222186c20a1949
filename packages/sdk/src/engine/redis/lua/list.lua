--- name:   list
--- caller: reader
--- keys:   shard
--- args:   now cursor limit
--- reply:  cursor, then per run: address record active
--- One page of HSCAN: a second index per run would cost 130 bytes.
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
