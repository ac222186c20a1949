--- name:   renew
--- caller: member
--- keys:   settings counters
--- args:   now session ("": only read)
--- reply:  alive now member_version|nil assignment_version|nil incarnation|nil, then session counter…
--- include "now"
--- One call per worker renews all its shards, because the lease belongs to the session (S2).
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
