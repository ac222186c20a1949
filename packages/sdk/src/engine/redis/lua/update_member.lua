--- name:   update_member
--- caller: member
--- keys:   settings members counters channel
--- args:   now session record
--- reply:  1 | 0 (dead)
--- include "members_changed"
if call("HEXISTS", KEYS[3], ARGV[2]) == 0 then return 0 end
if call("HGET", KEYS[2], ARGV[2]) ~= ARGV[3] then
  call("HSET", KEYS[2], ARGV[2], ARGV[3])
  members_changed(KEYS[1], KEYS[4])
end
return 1
