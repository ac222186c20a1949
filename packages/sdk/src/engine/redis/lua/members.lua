--- name:   members
--- caller: reader
--- keys:   settings members
--- args:   now
--- reply:  version|nil, then session record…
local reply = call("HGETALL", KEYS[2])
table.insert(reply, 1, call("HGET", KEYS[1], "members"))
return reply
