--- Adds to `found` what `read(limit)` gives, in small pages, until there is nothing more, `limit` of them, or so many bytes of payload.
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
