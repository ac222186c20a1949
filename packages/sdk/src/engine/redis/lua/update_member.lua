--- name:   update_member
--- caller: member
--- keys:   settings members counters channel
--- args:   now session record from ("": any)
--- reply:  1 | 0 (dead, or the record is neither)
--- include "members_changed"
if call("HEXISTS", KEYS[3], ARGV[2]) == 0 then return 0 end
local stored = call("HGET", KEYS[2], ARGV[2])
if stored ~= ARGV[3] then
  if ARGV[4] ~= "" and stored ~= ARGV[4] then return 0 end
  call("HSET", KEYS[2], ARGV[2], ARGV[3])
  members_changed(KEYS[1], KEYS[4])
end
return 1
