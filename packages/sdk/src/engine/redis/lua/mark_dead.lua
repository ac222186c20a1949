--- name:   mark_dead
--- caller: member
--- keys:   settings members counters channel
--- args:   now session counter record ("": any)
--- reply:  1 (dead by this call) | 2 (it was gone already) | 0 (its counter moved, or it registered another life)
--- include "members_changed"
local counter = call("HGET", KEYS[3], ARGV[2])
if not counter then return 2 end
if counter ~= ARGV[3] then return 0 end
if ARGV[4] ~= "" and call("HGET", KEYS[2], ARGV[2]) ~= ARGV[4] then return 0 end
call("HDEL", KEYS[3], ARGV[2])
call("HDEL", KEYS[2], ARGV[2])
members_changed(KEYS[1], KEYS[4])
return 1
