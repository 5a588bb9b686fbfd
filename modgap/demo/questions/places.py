"""Answers about countries, cities, rivers and what is in them."""

from __future__ import annotations

from modgap.demo.questions.tables import Answers, table

__all__ = ["CAPITAL", "CITY", "CONTINENT", "CURRENCY", "LANDMARK", "LANGUAGE", "RIVER", "STATE"]

#: Without those whose capital is disputed or has the country's name.
CAPITAL: Answers = table(
    """Afghanistan: Kabul; Albania: Tirana; Algeria: Algiers; Argentina: Buenos Aires;
    Armenia: Yerevan; Australia: Canberra; Austria: Vienna; Bangladesh: Dhaka;
    Belgium: Brussels; Bolivia: Sucre | La Paz; Brazil: Brasilia; Bulgaria: Sofia;
    Cambodia: Phnom Penh; Cameroon: Yaounde; Canada: Ottawa; Chile: Santiago; China: Beijing;
    Colombia: Bogota; Croatia: Zagreb; Cuba: Havana; Cyprus: Nicosia; Denmark: Copenhagen;
    Ecuador: Quito; Egypt: Cairo; Estonia: Tallinn; Ethiopia: Addis Ababa; Finland: Helsinki;
    France: Paris; Georgia: Tbilisi; Germany: Berlin; Ghana: Accra; Greece: Athens;
    Haiti: Port-au-Prince; Honduras: Tegucigalpa; Hungary: Budapest; Iceland: Reykjavik;
    India: New Delhi | Delhi; Indonesia: Jakarta | Nusantara; Iran: Tehran; Iraq: Baghdad;
    Ireland: Dublin; Italy: Rome; Jamaica: Kingston; Japan: Tokyo; Jordan: Amman;
    Kenya: Nairobi; Laos: Vientiane; Latvia: Riga; Lebanon: Beirut; Libya: Tripoli;
    Lithuania: Vilnius; Malaysia: Kuala Lumpur; Mali: Bamako; Malta: Valletta;
    Mongolia: Ulaanbaatar | Ulan Bator; Morocco: Rabat; Nepal: Kathmandu;
    the Netherlands: Amsterdam; New Zealand: Wellington; Nicaragua: Managua; Niger: Niamey;
    Nigeria: Abuja; North Korea: Pyongyang; Norway: Oslo; Pakistan: Islamabad;
    Paraguay: Asuncion; Peru: Lima; the Philippines: Manila; Poland: Warsaw; Portugal: Lisbon;
    Romania: Bucharest; Russia: Moscow; Rwanda: Kigali; Saudi Arabia: Riyadh; Senegal: Dakar;
    Serbia: Belgrade; Slovakia: Bratislava; Slovenia: Ljubljana; Somalia: Mogadishu;
    South Africa: Pretoria | Cape Town | Bloemfontein; South Korea: Seoul; Spain: Madrid;
    Sudan: Khartoum; Sweden: Stockholm; Switzerland: Bern | Berne; Syria: Damascus;
    Tanzania: Dodoma; Thailand: Bangkok; Tunisia: Tunis; Turkey: Ankara; Uganda: Kampala;
    Ukraine: Kyiv | Kiev; the United Kingdom: London; the United States: Washington;
    Uruguay: Montevideo; Venezuela: Caracas; Vietnam: Hanoi; Yemen: Sanaa | Sana'a;
    Zambia: Lusaka; Zimbabwe: Harare"""
)

#: Official languages and those that most people speak.
LANGUAGE: Answers = table(
    """Albania: Albanian; Algeria: Arabic | Berber | Tamazight; Argentina: Spanish;
    Armenia: Armenian; Australia: English; Austria: German; Bangladesh: Bengali | Bangla;
    Bolivia: Spanish | Quechua | Aymara; Brazil: Portuguese; Bulgaria: Bulgarian;
    Cambodia: Khmer; Canada: English | French; Chile: Spanish; China: Mandarin | Chinese;
    Colombia: Spanish; Croatia: Croatian; Cuba: Spanish; Cyprus: Greek | Turkish;
    Denmark: Danish; Ecuador: Spanish; Egypt: Arabic; Estonia: Estonian; Ethiopia: Amharic | Oromo;
    Finland: Finnish | Swedish; France: French; Georgia: Georgian; Germany: German;
    Ghana: English | Akan | Twi; Greece: Greek; Guatemala: Spanish; Haiti: Haitian Creole | French;
    Honduras: Spanish; Hungary: Hungarian; Iceland: Icelandic; India: Hindi | English;
    Indonesia: Indonesian | Bahasa; Iran: Persian | Farsi; Iraq: Arabic | Kurdish;
    Ireland: English | Irish; Israel: Hebrew; Italy: Italian; Jamaica: English | Patois;
    Japan: Japanese; Jordan: Arabic; Kenya: Swahili | English; Kuwait: Arabic; Laos: Lao;
    Latvia: Latvian; Lebanon: Arabic; Libya: Arabic; Lithuania: Lithuanian; Malaysia: Malay;
    Malta: Maltese | English; Mexico: Spanish; Mongolia: Mongolian; Morocco: Arabic | Berber;
    Nepal: Nepali; the Netherlands: Dutch; New Zealand: English | Maori; Nicaragua: Spanish;
    Nigeria: English | Hausa | Yoruba | Igbo; North Korea: Korean; Norway: Norwegian;
    Pakistan: Urdu | English | Punjabi; Panama: Spanish; Paraguay: Spanish | Guarani; Peru: Spanish;
    the Philippines: Filipino | Tagalog | English; Poland: Polish; Portugal: Portuguese;
    Romania: Romanian; Russia: Russian; Saudi Arabia: Arabic; Senegal: French | Wolof;
    Serbia: Serbian; Slovakia: Slovak; Slovenia: Slovene | Slovenian; Somalia: Somali | Arabic;
    South Korea: Korean; Spain: Spanish; Sri Lanka: Sinhala | Sinhalese | Tamil; Sudan: Arabic;
    Sweden: Swedish; Syria: Arabic; Tanzania: Swahili | English; Thailand: Thai; Tunisia: Arabic;
    Turkey: Turkish; Uganda: English | Swahili | Luganda; Ukraine: Ukrainian;
    the United Kingdom: English; the United States: English; Uruguay: Spanish; Venezuela: Spanish;
    Vietnam: Vietnamese; Yemen: Arabic; Zambia: English; Zimbabwe: English | Shona | Ndebele"""
)

#: Without countries in two continents, or with the continent in their name.
CONTINENT: Answers = table(
    """Afghanistan: Asia; Albania: Europe; Algeria: Africa; Argentina: South America;
    Austria: Europe; Bangladesh: Asia; Belgium: Europe; Bolivia: South America;
    Brazil: South America; Bulgaria: Europe; Cambodia: Asia; Cameroon: Africa;
    Canada: North America; Chile: South America; China: Asia; Colombia: South America;
    Croatia: Europe; Cuba: North America; Denmark: Europe; Ecuador: South America;
    Estonia: Europe; Ethiopia: Africa; Finland: Europe; France: Europe; Germany: Europe;
    Ghana: Africa; Greece: Europe; Guatemala: North America | Central America;
    Haiti: North America; Honduras: North America | Central America; Hungary: Europe;
    Iceland: Europe; India: Asia; Iran: Asia; Iraq: Asia; Ireland: Europe; Israel: Asia;
    Italy: Europe; Jamaica: North America; Japan: Asia; Jordan: Asia; Kenya: Africa; Kuwait: Asia;
    Laos: Asia; Latvia: Europe; Lebanon: Asia; Libya: Africa; Lithuania: Europe; Malaysia: Asia;
    Mali: Africa; Malta: Europe; Mexico: North America; Mongolia: Asia; Morocco: Africa;
    Nepal: Asia; the Netherlands: Europe; Nicaragua: North America | Central America; Niger: Africa;
    Nigeria: Africa; North Korea: Asia; Norway: Europe; Pakistan: Asia;
    Panama: North America | Central America; Paraguay: South America; Peru: South America;
    the Philippines: Asia; Poland: Europe; Portugal: Europe; Romania: Europe; Rwanda: Africa;
    Saudi Arabia: Asia; Senegal: Africa; Serbia: Europe; Singapore: Asia; Slovakia: Europe;
    Slovenia: Europe; Somalia: Africa; South Korea: Asia; Spain: Europe; Sri Lanka: Asia;
    Sudan: Africa; Sweden: Europe; Switzerland: Europe; Syria: Asia; Taiwan: Asia;
    Tanzania: Africa; Thailand: Asia; Tunisia: Africa; Uganda: Africa; Ukraine: Europe;
    the United Kingdom: Europe; the United States: North America; Uruguay: South America;
    Venezuela: South America; Vietnam: Asia; Yemen: Asia; Zambia: Africa; Zimbabwe: Africa"""
)

#: Without countries that changed theirs lately.
CURRENCY: Answers = table(
    """Argentina: peso | pesos; Australia: dollar | dollars; Austria: euro | euros;
    Bangladesh: taka; Belgium: euro | euros; Bolivia: boliviano | bolivianos; Brazil: real | reais;
    Cambodia: riel; Canada: dollar | dollars; Chile: peso | pesos;
    China: yuan | renminbi; Colombia: peso | pesos; Cuba: peso | pesos; Cyprus: euro | euros;
    Denmark: krone | kroner; Egypt: pound | pounds; Estonia: euro | euros; Ethiopia: birr;
    Finland: euro | euros; France: euro | euros; Georgia: lari; Germany: euro | euros; Ghana: cedi;
    Greece: euro | euros; Guatemala: quetzal; Honduras: lempira; Hungary: forint;
    Iceland: krona | kronur; India: rupee | rupees; Indonesia: rupiah; Iran: rial | rials;
    Iraq: dinar | dinars; Ireland: euro | euros; Israel: shekel | shekels; Italy: euro | euros;
    Jamaica: dollar | dollars; Japan: yen; Jordan: dinar | dinars; Kenya: shilling | shillings;
    Kuwait: dinar | dinars; Laos: kip; Latvia: euro | euros; Libya: dinar | dinars;
    Lithuania: euro | euros; Malaysia: ringgit; Malta: euro | euros; Mexico: peso | pesos;
    Mongolia: tugrik | togrog; Morocco: dirham | dirhams; Nepal: rupee | rupees;
    the Netherlands: euro | euros; New Zealand: dollar | dollars; Nicaragua: cordoba;
    Nigeria: naira; North Korea: won; Norway: krone | kroner; Pakistan: rupee | rupees;
    Paraguay: guarani; Peru: sol | soles; the Philippines: peso | pesos; Poland: zloty;
    Portugal: euro | euros; Romania: leu | lei; Russia: ruble | rubles | rouble | roubles;
    Saudi Arabia: riyal | riyals; Serbia: dinar | dinars; Singapore: dollar | dollars;
    Slovakia: euro | euros; Slovenia: euro | euros; South Africa: rand; South Korea: won;
    Spain: euro | euros; Sri Lanka: rupee | rupees; Sweden: krona | kronor;
    Switzerland: franc | francs; Syria: pound | pounds; Taiwan: dollar | dollars;
    Tanzania: shilling | shillings; Thailand: baht; Tunisia: dinar | dinars; Turkey: lira;
    Uganda: shilling | shillings; Ukraine: hryvnia; the United Kingdom: pound | pounds;
    the United States: dollar | dollars; Uruguay: peso | pesos; Vietnam: dong; Yemen: rial | rials;
    Zambia: kwacha"""
)

_UK = "United Kingdom | England | UK"
_US = "United States | USA | US | America"

#: City: country.
CITY: Answers = table(
    f"""Amsterdam: Netherlands; Athens: Greece; Bangkok: Thailand; Barcelona: Spain;
    Beijing: China; Berlin: Germany; Bogota: Colombia; Brussels: Belgium; Budapest: Hungary;
    Buenos Aires: Argentina; Cairo: Egypt; Cape Town: South Africa; Casablanca: Morocco;
    Chicago: {_US}; Cologne: Germany; Copenhagen: Denmark; Delhi: India; Dublin: Ireland;
    Edinburgh: Scotland | United Kingdom | UK; Florence: Italy; Frankfurt: Germany;
    Geneva: Switzerland; Hamburg: Germany; Hanoi: Vietnam; Havana: Cuba; Helsinki: Finland;
    Istanbul: Turkey; Jakarta: Indonesia; Johannesburg: South Africa; Karachi: Pakistan;
    Kathmandu: Nepal; Krakow: Poland; Kyoto: Japan; Lagos: Nigeria; Lima: Peru; Lisbon: Portugal;
    Liverpool: {_UK}; London: {_UK}; Los Angeles: {_US}; Lyon: France; Madrid: Spain;
    Manchester: {_UK}; Manila: Philippines; Marseille: France; Melbourne: Australia; Miami: {_US};
    Milan: Italy; Montreal: Canada; Moscow: Russia; Mumbai: India; Munich: Germany;
    Nairobi: Kenya; Naples: Italy; Nice: France; Osaka: Japan; Oslo: Norway; Oxford: {_UK};
    Paris: France; Perth: Australia; Porto: Portugal; Prague: Czech Republic | Czechia;
    Quito: Ecuador; Rio de Janeiro: Brazil; Riyadh: Saudi Arabia; Rome: Italy;
    Rotterdam: Netherlands; Salzburg: Austria; San Francisco: {_US}; Santiago: Chile;
    Sao Paulo: Brazil; Seattle: {_US}; Seoul: South Korea | Korea; Seville: Spain; Shanghai: China;
    Stockholm: Sweden; Sydney: Australia; Tehran: Iran; Tokyo: Japan; Toronto: Canada;
    Valencia: Spain; Vancouver: Canada; Venice: Italy; Vienna: Austria; Warsaw: Poland;
    Zurich: Switzerland"""
)

#: Landmark: its city or country, whichever is said.
LANDMARK: Answers = table(
    f"""the Eiffel Tower: Paris | France; Big Ben: London | {_UK}; the Colosseum: Rome | Italy;
    the Great Wall: China; the Taj Mahal: Agra | India; the Statue of Liberty: New York | {_US};
    the Kremlin: Moscow | Russia; the Parthenon: Athens | Greece; the Louvre: Paris | France;
    Machu Picchu: Peru; the Golden Gate Bridge: San Francisco | {_US};
    the Brandenburg Gate: Berlin | Germany; Buckingham Palace: London | {_UK};
    the Leaning Tower: Pisa | Italy; Stonehenge: {_UK}; the White House: Washington | {_US};
    the Grand Canyon: Arizona | {_US}; Mount Fuji: Japan; the Sagrada Familia: Barcelona | Spain;
    the Acropolis: Athens | Greece; Notre Dame: Paris | France;
    the Sphinx: Giza | Egypt; the Great Pyramid: Giza | Egypt; Angkor Wat: Cambodia;
    Petra: Jordan; the Alhambra: Granada | Spain; Mount Rushmore: South Dakota | {_US};
    Niagara Falls: Canada | {_US} | New York | Ontario; the Empire State Building: New York | {_US};
    the Burj Khalifa: Dubai | United Arab Emirates; Chichen Itza: Mexico;
    the Forbidden City: Beijing | China; Red Square: Moscow | Russia; Westminster Abbey: London |
    {_UK};
    the Tower Bridge: London | {_UK}; Central Park: New York | {_US}; Hollywood: Los Angeles |
    California | {_US}; Times Square: New York | {_US}; the Matterhorn: Switzerland | Italy;
    Table Mountain: Cape Town | South Africa; Pompeii: Italy; Versailles: France"""
)

#: River, mountain or desert: its continent.
RIVER: Answers = table(
    """the Nile: Africa; the Amazon: South America; the Mississippi: North America;
    the Danube: Europe; the Rhine: Europe; the Ganges: Asia; the Yangtze: Asia; the Congo: Africa;
    the Thames: Europe; the Seine: Europe; the Mekong: Asia; the Niger: Africa; the Volga: Europe;
    the Zambezi: Africa; the Indus: Asia; the Colorado: North America; the Orinoco: South America;
    the Elbe: Europe; the Rhone: Europe; the Loire: Europe; the Euphrates: Asia; the Tigris: Asia;
    the Yukon: North America; the Missouri: North America; the Sahara: Africa; the Gobi: Asia;
    the Kalahari: Africa; the Atacama: South America; Mount Everest: Asia; Mount Kilimanjaro:
    Africa;
    the Alps: Europe; the Andes: South America; the Himalayas: Asia; the Rocky Mountains:
    North America; the Pyrenees: Europe; the Carpathians: Europe; the Atlas Mountains: Africa"""
)

#: State of the United States: its capital.
STATE: Answers = table(
    """Alabama: Montgomery; Alaska: Juneau; Arizona: Phoenix; Arkansas: Little Rock;
    California: Sacramento; Colorado: Denver; Connecticut: Hartford; Delaware: Dover;
    Florida: Tallahassee; Hawaii: Honolulu; Idaho: Boise; Illinois: Springfield;
    Indiana: Indianapolis; Iowa: Des Moines; Kansas: Topeka; Kentucky: Frankfort;
    Louisiana: Baton Rouge; Maine: Augusta; Maryland: Annapolis; Massachusetts: Boston;
    Michigan: Lansing; Minnesota: Saint Paul | St. Paul; Mississippi: Jackson;
    Missouri: Jefferson City; Montana: Helena; Nebraska: Lincoln; Nevada: Carson City;
    New Hampshire: Concord; New Jersey: Trenton; New Mexico: Santa Fe; New York: Albany;
    North Carolina: Raleigh; North Dakota: Bismarck; Ohio: Columbus; Oregon: Salem;
    Pennsylvania: Harrisburg; Rhode Island: Providence; South Carolina: Columbia;
    South Dakota: Pierre; Tennessee: Nashville; Texas: Austin; Utah: Salt Lake City;
    Vermont: Montpelier; Virginia: Richmond; Washington: Olympia; West Virginia: Charleston;
    Wisconsin: Madison; Wyoming: Cheyenne"""
)
